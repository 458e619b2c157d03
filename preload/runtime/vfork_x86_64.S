// vfork: the child returns first, in the parent's memory and stack, and overwrites what lies above our return address.
// So nothing is kept there: the return address and what the parent has to know afterwards wait in registers, which the
// kernel gives back to each of the two as they were (glibc's vfork does the same).

        .text
        .hidden ocpwatch_before_vfork
        .hidden ocpwatch_after_vfork
        .globl  vfork, __vfork
        .type   vfork, @function
        .type   __vfork, @function
        .set    __vfork, vfork
vfork:
        .cfi_startproc
        sub     $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    ocpwatch_before_vfork
        add     $8, %rsp
        .cfi_adjust_cfa_offset -8
        mov     %rax, %rsi              // The token, in %rsi and %rdx.
        pop     %rdi
        .cfi_adjust_cfa_offset -8
        .cfi_register %rip, %rdi
        mov     $58, %eax               // SYS_vfork
        syscall
        push    %rdi
        .cfi_adjust_cfa_offset 8
        test    %rax, %rax
        jz      1f                      // The child.
        mov     %rax, %rdi
        sub     $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    ocpwatch_after_vfork
        add     $8, %rsp
        .cfi_adjust_cfa_offset -8
1:      ret
        .cfi_endproc
        .size   vfork, . - vfork

        .section .note.GNU-stack, "", @progbits
