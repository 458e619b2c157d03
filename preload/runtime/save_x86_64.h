// Keeps registers over a call, with the unwinder told of each push and pop. (The assembler knows no case: a macro PUSH
// would stand in its own way.)
#ifndef OCPWATCH_PRELOAD_RUNTIME_SAVE_X86_64_H_
#define OCPWATCH_PRELOAD_RUNTIME_SAVE_X86_64_H_

.macro SAVE registers:vararg
        .irp    register, \registers
        push    %\register
        .cfi_adjust_cfa_offset 8
        .endr
.endm

.macro RESTORE registers:vararg
        .irp    register, \registers
        pop     %\register
        .cfi_adjust_cfa_offset -8
        .endr
.endm

#endif  // OCPWATCH_PRELOAD_RUNTIME_SAVE_X86_64_H_
