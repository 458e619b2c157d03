// syscall(): clone (56), vfork (58) and clone3 (435) are told and then made by libc's own, on the caller's stack; all
// others go to C++. raw_syscall.cc says why.

        .text
        .hidden ocpwatch_syscall
        .hidden ocpwatch_before_clone
        .globl  syscall
        .type   syscall, @function
syscall:
        .cfi_startproc
        cmp     $56, %rdi
        je      1f
        cmp     $58, %rdi
        je      1f
        cmp     $435, %rdi
        je      1f
        jmp     ocpwatch_syscall
1:      push    %rdi
        .cfi_adjust_cfa_offset 8
        push    %rsi
        .cfi_adjust_cfa_offset 8
        push    %rdx
        .cfi_adjust_cfa_offset 8
        push    %rcx
        .cfi_adjust_cfa_offset 8
        push    %r8
        .cfi_adjust_cfa_offset 8
        push    %r9
        .cfi_adjust_cfa_offset 8
        sub     $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    ocpwatch_before_clone
        add     $8, %rsp
        .cfi_adjust_cfa_offset -8
        pop     %r9
        .cfi_adjust_cfa_offset -8
        pop     %r8
        .cfi_adjust_cfa_offset -8
        pop     %rcx
        .cfi_adjust_cfa_offset -8
        pop     %rdx
        .cfi_adjust_cfa_offset -8
        pop     %rsi
        .cfi_adjust_cfa_offset -8
        pop     %rdi
        .cfi_adjust_cfa_offset -8
        jmp     *%rax
        .cfi_endproc
        .size   syscall, . - syscall

        .section .note.GNU-stack, "", @progbits
