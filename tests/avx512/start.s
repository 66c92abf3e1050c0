# The first instructions of the emulated machine: real mode at the reset vector, long mode with every vector
# register switched on, then `start` in machine.rs. Intel SDM volume 3, 9.8.5 (long mode) and 13.5 (XCR0).

.section .rom, "ax"
.code16
rom:
    cli
    # The address line that a PC starts without.
    movb $2, %al
    outb %al, $0x92
    cs lgdtl descriptors_pointer - rom
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $0x08, $protected

.code32
protected:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    # Every address is its own: 4 pages of 1 GB, writable.
    movl $0x2003, 0x1000
    movl $0x00000083, 0x2000
    movl $0x40000083, 0x2008
    movl $0x80000083, 0x2010
    movl $0xc0000083, 0x2018
    movl $0x1000, %eax
    movl %eax, %cr3
    # PAE, OSFXSR, OSXMMEXCPT, FSGSBASE, OSXSAVE
    movl $0x50620, %eax
    movl %eax, %cr4
    # EFER: SCE, LME
    movl $0xc0000080, %ecx
    xorl %edx, %edx
    movl $0x101, %eax
    wrmsr
    # CR0: PG, NE, MP, PE; no EM, no TS
    movl $0x80000023, %eax
    movl %eax, %cr0
    ljmpl $0x18, $long

.code64
long:
    # XCR0: x87, SSE, AVX, opmask, upper halves, upper registers
    xorl %ecx, %ecx
    xorl %edx, %edx
    movl $0xe7, %eax
    xsetbv
    movl $kernel_stack_end, %esp
    movl $start, %eax
    call *%rax

.balign 8
descriptors:
    .quad 0
    .quad 0x00cf9a000000ffff
    .quad 0x00cf92000000ffff
    .quad 0x00af9a000000ffff
descriptors_pointer:
    .word 31
    .long descriptors

.section .reset, "ax"
.code16
    ljmp $0xf000, $0
.balign 16

.text
.code64
# System calls come from the same privilege; the registers that Linux keeps are kept.
.globl system_call_entry
system_call_entry:
    movq %rsp, user_stack
    movq $kernel_stack_end, %rsp
    pushq user_stack
    pushq %rcx
    pushq %r11
    pushq %r9
    pushq %r8
    pushq %r10
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rax
    movq %rsp, %rdi
    cld
    fxsave64 vector_state
    call system_call
    fxrstor64 vector_state
    addq $8, %rsp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %r10
    popq %r8
    popq %r9
    popq %r11
    popq %rcx
    popq %rsp
    jmp *%rcx

# Exceptions end the run. Those with an error code have it pushed already.
.macro exception number, has_code
exception_\number:
    .if \has_code == 0
    pushq $0
    .endif
    pushq $\number
    jmp exception_entry
.endm
.irp number, 0,1,2,3,4,5,6,7,9,15,16,18,19,20
exception \number, 0
.endr
.irp number, 8,10,11,12,13,14,17,21
exception \number, 1
.endr
exception_entry:
    movq %rsp, %rdi
    andq $-16, %rsp
    call exception

.section .rodata
.globl exception_entries
exception_entries:
.irp number, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21
    .quad exception_\number
.endr

.bss
.balign 64
vector_state: .skip 512
user_stack: .skip 8
.balign 64
.skip 65536
.globl kernel_stack_end
kernel_stack_end:
