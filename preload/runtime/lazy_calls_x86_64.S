// The stubs of lazy_calls.h: each pushes its number and goes to where the function is found; then all arguments are as
// they were and the function is jumped to. None of the functions has arguments in vector registers.

        .text
        .hidden ocpwatch_find_call
        .hidden ocpwatch_call_stubs
        .globl  ocpwatch_call_stubs
        .balign 16
ocpwatch_call_stubs:
        .set    number, 0
        .rept   512
        .balign 16
        push    $number
        jmp     find_and_call
        .set    number, number + 1
        .endr

        .type   find_and_call, @function
find_and_call:
        .cfi_startproc
        .cfi_def_cfa_offset 16
        push    %rax                    // Of a variadic call: how many vector registers.
        .cfi_adjust_cfa_offset 8
        push    %rdi
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
        mov     64(%rsp), %rdi
        call    ocpwatch_find_call
        mov     %rax, %r11
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
        pop     %rax
        .cfi_adjust_cfa_offset -8
        add     $8, %rsp
        .cfi_adjust_cfa_offset -8
        jmp     *%r11
        .cfi_endproc
        .size   find_and_call, . - find_and_call

        .section .note.GNU-stack, "", @progbits
