// dlopen and dlmopen: tell, then jump to the real one, so that it finds the program's return address on the stack.
// load.h says why.

#include "save_x86_64.inc"

.macro TELL_AND_JUMP name, before
        .globl  \name
        .type   \name, @function
\name:
        .cfi_startproc
        SAVE    rdi, rsi, rdx
        call    \before
        RESTORE rdx, rsi, rdi
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
