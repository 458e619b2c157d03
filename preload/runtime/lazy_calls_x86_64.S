// The stubs of lazy_calls.h: each pushes its number and goes to where the function is found; then all arguments are as
// they were and the function is jumped to. None of the functions has arguments in vector registers.

#include "save_x86_64.inc"

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
        SAVE    rax, rdi, rsi, rdx, rcx, r8, r9  // rax: of a variadic call, how many vector registers.
        sub     $8, %rsp
        .cfi_adjust_cfa_offset 8
        mov     64(%rsp), %rdi
        call    ocpwatch_find_call
        mov     %rax, %r11
        add     $8, %rsp
        .cfi_adjust_cfa_offset -8
        RESTORE r9, r8, rcx, rdx, rsi, rdi, rax
        add     $8, %rsp
        .cfi_adjust_cfa_offset -8
        jmp     *%r11
        .cfi_endproc
        .size   find_and_call, . - find_and_call

        .section .note.GNU-stack, "", @progbits
