//! The system calls of Linux that a program without files or threads makes. Numbers and structures are those of
//! the x86-64 ABI.

use crate::{Printer, RAM_END, exit, program};
use core::arch::asm;
use core::ptr;

unsafe extern "C" {
    fn system_call_entry();
}

/// The registers of a call, as start.s lays them on the stack.
#[repr(C)]
pub struct Call {
    number: usize,
    arguments: [usize; 6],
}

const EBADF: isize = -9;
const EAGAIN: isize = -11;
const ENOMEM: isize = -12;
const ENOENT: isize = -2;
const ENOTTY: isize = -25;
const ENOSYS: isize = -38;

/// The one file that can be opened: the source of random bytes.
const RANDOM_FILE: isize = 3;

/// Mappings up to this size are made, and never taken back; larger ones are refused, so that the allocator
/// takes them from the heap.
const LARGEST_MAPPING: usize = 1 << 20;

/// Mappings lie in the last part of the RAM, below the stack.
const MAPPINGS: usize = RAM_END - (128 << 20);

static mut MAPPED_UP_TO: usize = MAPPINGS;

static mut HEAP_END: usize = 0;

/// Intel SDM volume 3, 5.8.8: the entry point, and no flag changed but interrupts and direction.
pub fn receive() {
    // SAFETY: the entry keeps what Linux keeps.
    unsafe {
        write_msr(0xc000_0081, 0x0000_0018 << 32);
        write_msr(0xc000_0082, system_call_entry as *const () as u64);
        write_msr(0xc000_0084, 0x600);
    }
}

unsafe fn write_msr(register: u32, value: u64) {
    // SAFETY: the caller knows the register.
    unsafe { asm!("wrmsr", in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32) };
}

/// The answer to a call.
#[unsafe(no_mangle)]
extern "C" fn system_call(call: &Call) -> isize {
    let [a, b, c, d, ..] = call.arguments;
    // SAFETY: pointers of the program are trusted, as its own loads and stores are.
    unsafe {
        match call.number {
            1 => write(a, b, c),
            0 if a == RANDOM_FILE as usize => fill(b, c),
            // An empty standard input.
            0 => {
                if a == 0 {
                    0
                } else {
                    EBADF
                }
            }
            3 => 0,
            2 if is_random(a) => RANDOM_FILE,
            257 if is_random(b) => RANDOM_FILE,
            20 => (0..c)
                .map(|at| *(b as *const [usize; 2]).add(at))
                .map(|[from, bytes]| write(a, from, bytes))
                .sum(),
            // poll, mprotect, munmap, rt_sigaction, rt_sigprocmask, sched_yield, madvise, sigaltstack,
            // set_tid_address, set_robust_list: nothing to do.
            7 | 10 | 11 | 13 | 14 | 24 | 28 | 131 | 218 | 273 => 0,
            9 => map(b, d),
            12 => heap(a),
            16 => ENOTTY,
            39 | 186 => 1,
            60 | 231 => exit(a),
            // arch_prctl(ARCH_SET_FS)
            158 if a == 0x1002 => {
                write_msr(0xc000_0100, b as u64);
                0
            }
            // clock_gettime; sched_getaffinity: one CPU; getrandom; prlimit64: the stack
            228 => time(b),
            204 => {
                *(c as *mut u64) = 1;
                8
            }
            318 => fill(a, b),
            302 if b == 3 && d != 0 => {
                *(d as *mut [usize; 2]) = [program::STACK_BYTES; 2];
                0
            }
            // open, readlink, openat, newfstatat, readlinkat: there are no files.
            2 | 4 | 21 | 89 | 257 | 262 | 267 => ENOENT,
            // clone, clone3: no thread can be had now; Rust's test runner then does without.
            56 | 435 => EAGAIN,
            // futex: nobody waits who could be woken, and whoever waits waits for ever.
            202 if b & 0x7f == 1 => 0,
            202 => panic!("the program waits for a thread"),
            _ => ENOSYS,
        }
    }
}

unsafe fn write(file: usize, from: usize, bytes: usize) -> isize {
    if file != 1 && file != 2 {
        return EBADF;
    }
    // SAFETY: the program's own words.
    Printer.print(unsafe { core::slice::from_raw_parts(from as *const u8, bytes) });
    bytes as isize
}

/// Anonymous memory. Where the program names an address (`MAP_FIXED`) there is nothing to do.
unsafe fn map(bytes: usize, flags: usize) -> isize {
    const ANONYMOUS: usize = 0x20;
    let size = bytes.next_multiple_of(4096);
    // SAFETY: one thread.
    unsafe {
        if flags & ANONYMOUS == 0
            || size > LARGEST_MAPPING
            || MAPPED_UP_TO + size > RAM_END - program::STACK_BYTES
        {
            return ENOMEM;
        }
        MAPPED_UP_TO += size;
        (MAPPED_UP_TO - size) as isize
    }
}

/// `brk`; new memory is zero, also where the heap had shrunk before.
unsafe fn heap(end: usize) -> isize {
    // SAFETY: one thread; the heap lies above the program and below the mappings.
    unsafe {
        if HEAP_END == 0 {
            HEAP_END = program::heap_start();
        }
        if end >= program::heap_start() && end <= MAPPINGS {
            if end > HEAP_END {
                ptr::write_bytes(HEAP_END as *mut u8, 0, end - HEAP_END);
            }
            HEAP_END = end;
        }
        HEAP_END as isize
    }
}

/// One instruction is told as one nanosecond.
unsafe fn time(to: usize) -> isize {
    // SAFETY: the program's own place for it.
    unsafe {
        let now = core::arch::x86_64::_rdtsc();
        *(to as *mut [u64; 2]) = [now / 1_000_000_000, now % 1_000_000_000];
    }
    0
}

/// Whether a path names a source of random bytes.
unsafe fn is_random(path: usize) -> bool {
    // SAFETY: the program's own path, which ends with a zero; nothing behind a difference is read.
    let is = |name: &[u8]| {
        name.iter().enumerate().all(|(at, &byte)| unsafe { *(path as *const u8).add(at) } == byte)
    };
    is(b"/dev/urandom\0") || is(b"/dev/random\0")
}

/// Random bytes, the same in every run.
unsafe fn fill(to: usize, bytes: usize) -> isize {
    // SAFETY: the program's own place for them.
    unsafe { ptr::write_bytes(to as *mut u8, 0x5a, bytes) };
    bytes as isize
}
