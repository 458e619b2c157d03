// syscall(): clone (56), vfork (58) and clone3 (435) are told and then made by libc's own, on the caller's stack; all
// others go to C++. raw_syscall.cc says why.

#include "save_x86_64.inc"

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
1:      SAVE    rdi, rsi, rdx, rcx, r8, r9
        sub     $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    ocpwatch_before_clone
        add     $8, %rsp
        .cfi_adjust_cfa_offset -8
        RESTORE r9, r8, rcx, rdx, rsi, rdi
        jmp     *%rax
        .cfi_endproc
        .size   syscall, . - syscall

        .section .note.GNU-stack, "", @progbits
