// dlopen and dlmopen: tell, then jump to the real one, so that it finds the program's return address on the stack.
// load.h says why.

.macro TELL_AND_JUMP name, before
        .globl  \name
        .type   \name, @function
\name:
        .cfi_startproc
        push    %rdi
        .cfi_adjust_cfa_offset 8
        push    %rsi
        .cfi_adjust_cfa_offset 8
        push    %rdx
        .cfi_adjust_cfa_offset 8
        call    \before
        pop     %rdx
        .cfi_adjust_cfa_offset -8
        pop     %rsi
        .cfi_adjust_cfa_offset -8
        pop     %rdi
        .cfi_adjust_cfa_offset -8
        jmp     *%rax
        .cfi_endproc
        .size   \name, . - \name
.endm

        .text
        .hidden ocpwatch_before_dlopen
        .hidden ocpwatch_before_dlmopen
        TELL_AND_JUMP dlopen, ocpwatch_before_dlopen
        TELL_AND_JUMP dlmopen, ocpwatch_before_dlmopen

        .section .note.GNU-stack, "", @progbits
