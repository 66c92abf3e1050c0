//! The program: its segments are copied to their places, and it starts as Linux starts one.
//! System V ABI for AMD64, 3.4 (process initialization); ELF-64 object file format.

use crate::{ARGUMENTS, IMAGE, RAM_END, exit};
use core::arch::asm;
use core::{ptr, slice};

/// The stack, at the end of the RAM.
pub const STACK_BYTES: usize = 32 << 20;

/// Where position-independent programs go.
const BASE: usize = 0x40_0000;

static mut HEAP_START: usize = 0;

/// Where the heap starts: after the program's image, which lies above the program.
pub fn heap_start() -> usize {
    // SAFETY: written once, before the program runs.
    unsafe { HEAP_START }
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Header {
    identification: [u8; 16],
    kind: u16,
    machine: u16,
    version: u32,
    entry: usize,
    segments: usize,
    sections: usize,
    flags: u32,
    header_bytes: u16,
    segment_bytes: u16,
    segment_count: u16,
    rest: [u16; 3],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Segment {
    kind: u32,
    flags: u32,
    offset: usize,
    address: usize,
    physical: usize,
    file_bytes: usize,
    memory_bytes: usize,
    alignment: usize,
}

const LOAD: u32 = 1;
const POSITION_INDEPENDENT: u16 = 3;

/// Loads and starts the program.
pub unsafe fn run() -> ! {
    // SAFETY: the emulator has loaded an ELF file there.
    unsafe {
        let header = *(IMAGE as *const Header);
        if header.identification[..5] != *b"\x7fELF\x02" {
            panic!("no program");
        }
        let base = if header.kind == POSITION_INDEPENDENT { BASE } else { 0 };
        let segments =
            slice::from_raw_parts((IMAGE + header.segments) as *const Segment, header.segment_count.into());
        let mut image_end = IMAGE;
        let mut headers_at = 0;
        for segment in segments.iter().filter(|segment| segment.kind == LOAD) {
            let to = base + segment.address;
            if to + segment.memory_bytes > IMAGE {
                panic!("the program is too large: it would end at {:#x}", to + segment.memory_bytes);
            }
            ptr::copy_nonoverlapping(
                (IMAGE + segment.offset) as *const u8,
                to as *mut u8,
                segment.file_bytes,
            );
            let rest = segment.memory_bytes - segment.file_bytes;
            ptr::write_bytes((to + segment.file_bytes) as *mut u8, 0, rest);
            image_end = image_end.max(IMAGE + segment.offset + segment.file_bytes);
            if segment.offset == 0 {
                headers_at = to + header.segments;
            }
        }
        HEAP_START = image_end.next_multiple_of(4096);
        let stack = lay_stack(&header, base, headers_at);
        let entry = base + header.entry;
        asm!("mov rsp, {}", "jmp {}", in(reg) stack, in(reg) entry, in("rdx") 0, options(noreturn));
    }
}

/// Argument count, arguments, environment, auxiliary vector, as the program finds them at its stack pointer.
unsafe fn lay_stack(header: &Header, base: usize, headers_at: usize) -> usize {
    let mut words = [0_usize; 512];
    let mut count = 1;
    let mut push = |word: usize| {
        words[count] = word;
        count += 1;
    };
    // SAFETY: the emulator has loaded the arguments, with zeros behind them.
    let text = unsafe {
        let bytes = (0..).take_while(|&at| *((ARGUMENTS + at) as *const u8) != 0).count();
        slice::from_raw_parts_mut(ARGUMENTS as *mut u8, bytes)
    };
    let is_variable = |line: &[u8]| line.contains(&b'=') && !line.starts_with(b"-");
    let arguments = text.split(|&byte| byte == b'\n').position(|line| !is_variable(line)).unwrap_or(0);
    let mut total = 0;
    for line in text.split(|&byte| byte == b'\n').skip(arguments).filter(|line| !line.is_empty()) {
        push(line.as_ptr() as usize);
        total += 1;
    }
    push(0);
    for line in text.split(|&byte| byte == b'\n').take(arguments) {
        push(line.as_ptr() as usize);
    }
    push(0);
    // AT_PHDR, AT_PHENT, AT_PHNUM, AT_PAGESZ, AT_ENTRY, AT_SECURE, AT_RANDOM
    let random = IMAGE;
    for (key, value) in [
        (3, headers_at),
        (4, header.segment_bytes.into()),
        (5, header.segment_count.into()),
        (6, 4096),
        (9, base + header.entry),
        (23, 0),
        (25, random),
        (0, 0),
    ] {
        push(key);
        push(value);
    }
    words[0] = total;
    if total == 0 {
        exit(130);
    }
    for byte in text {
        if *byte == b'\n' {
            *byte = 0;
        }
    }
    let stack = (RAM_END - 64 - count * size_of::<usize>()) & !63;
    // SAFETY: the stack is not in use yet.
    unsafe { ptr::copy_nonoverlapping(words.as_ptr(), stack as *mut usize, count) };
    stack
}
