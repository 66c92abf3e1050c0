//! A machine to run one static x86-64 Linux program on, inside an emulator that has AVX-512.
//!
//! There is no operating system below it: the program runs at the machine's own privilege, its instructions
//! directly on the emulated CPU, and `syscall` comes here. Only what a Rust program without files or threads
//! asks of Linux is answered; everything else has ENOSYS, and an exception ends the run. Time is told in
//! instructions: one counts as a nanosecond. What the program prints goes to the parallel port, followed by a
//! last line `exit status N`.
//!
//! The program comes from the disk to [`IMAGE`]; the emulator has put its arguments at [`ARGUMENTS`]. start.s
//! comes before.

#![no_std]
#![no_main]

mod disk;
mod memory;
mod program;
mod system_calls;

use core::arch::{asm, global_asm};
use core::fmt::{self, Write};

global_asm!(include_str!("start.s"), options(att_syntax));

/// Where the program is loaded, an ELF file.
pub const IMAGE: usize = 0x0800_0000;

/// Where the emulator loads the arguments (at most 128 KB: more would not lie together): one a line, those of the form `NAME=VALUE` before the first other
/// are the environment. Ends at the first zero byte.
pub const ARGUMENTS: usize = 0x0030_0000;

/// The end of the RAM.
pub const RAM_END: usize = 0x6000_0000;

#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    // SAFETY: nothing else runs, and the tables stay as they are.
    unsafe { receive_exceptions() };
    system_calls::receive();
    // SAFETY: the program's memory is not in use yet.
    unsafe {
        disk::load(IMAGE);
        program::run()
    }
}

/// What the machine prints.
pub struct Printer;

impl Printer {
    pub fn print(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            // SAFETY: the data and control registers of the first parallel port; a rising strobe prints.
            unsafe {
                out(0x378, byte);
                out(0x37a, 0x0d);
                out(0x37a, 0x0c);
            }
        }
    }
}

impl fmt::Write for Printer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.print(text.as_bytes());
        Ok(())
    }
}

/// Prints the status and switches the machine off.
pub fn exit(status: usize) -> ! {
    let _ = writeln!(Printer, "\nexit status {status}");
    loop {
        for &byte in b"Shutdown" {
            // SAFETY: the emulator's own port, which ends it.
            unsafe { out(0x8900, byte) };
        }
    }
}

pub unsafe fn out(port: u16, byte: u8) {
    // SAFETY: the caller knows the port.
    unsafe { asm!("out dx, al", in("dx") port, in("al") byte, options(nomem, nostack, preserves_flags)) };
}

/// A descriptor of an interrupt gate in 64-bit mode. Intel SDM volume 3, 6.14.1.
#[repr(C)]
#[derive(Clone, Copy)]
struct Gate {
    offset_low: u16,
    selector: u16,
    kind: u16,
    offset_middle: u16,
    offset_high: u32,
    reserved: u32,
}

const EXCEPTIONS: usize = 22;

static mut GATES: [Gate; EXCEPTIONS] =
    [Gate { offset_low: 0, selector: 0x18, kind: 0x8e00, offset_middle: 0, offset_high: 0, reserved: 0 };
        EXCEPTIONS];

unsafe extern "C" {
    static exception_entries: [u64; EXCEPTIONS];
}

unsafe fn receive_exceptions() {
    // SAFETY: one thread, before anything can raise an exception.
    unsafe {
        let gates = &raw mut GATES;
        for (number, &entry) in exception_entries.iter().enumerate() {
            let gate = &mut (*gates)[number];
            gate.offset_low = entry as u16;
            gate.offset_middle = (entry >> 16) as u16;
            gate.offset_high = (entry >> 32) as u32;
        }
        let mut pointer = [0_u8; 10];
        pointer[..2].copy_from_slice(&((size_of::<[Gate; EXCEPTIONS]>() - 1) as u16).to_le_bytes());
        pointer[2..].copy_from_slice(&(gates as u64).to_le_bytes());
        asm!("lidt [{}]", in(reg) &pointer, options(readonly, nostack, preserves_flags));
    }
}

/// What lies on the stack when an exception comes in.
#[repr(C)]
struct Exception {
    number: u64,
    code: u64,
    instruction: u64,
    segment: u64,
    flags: u64,
    stack: u64,
}

#[unsafe(no_mangle)]
extern "C" fn exception(at: &Exception) -> ! {
    let address: u64;
    // SAFETY: reading CR2 changes nothing.
    unsafe { asm!("mov {}, cr2", out(reg) address, options(nomem, nostack, preserves_flags)) };
    // SAFETY: the program was running there.
    let bytes = unsafe { core::slice::from_raw_parts(at.instruction as *const u8, 16) };
    let _ = writeln!(
        Printer,
        "\nexception {} (code {:#x}) at {:#x}: {bytes:02x?}, address {address:#x}",
        at.number, at.code, at.instruction
    );
    // SAFETY: the program's stack, if it has one.
    let stack = unsafe { core::slice::from_raw_parts(at.stack as *const u64, 8) };
    let _ = writeln!(Printer, "stack {:#x}: {stack:x?}", at.stack);
    exit(128)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let _ = writeln!(Printer, "\nmachine: {info}");
    exit(129)
}
