//! Console and exit through the debugger or emulator.
//!
//! Source: Arm, "Semihosting for AArch32 and AArch64": the M-profile trap and the operations named
//! below.

use core::arch::asm;
use core::fmt;

const SYS_WRITE0: usize = 0x04;
const SYS_EXIT_EXTENDED: usize = 0x20;
const ADP_STOPPED_APPLICATION_EXIT: usize = 0x20026;

/// # Safety
/// `argument` must be what `operation` takes.
unsafe fn call(operation: usize, argument: *const u8) {
    // SAFETY: the trap's handler keeps all registers but r0 and reads what `argument` points to.
    unsafe { asm!("bkpt 0xab", inout("r0") operation => _, in("r1") argument, options(nostack, readonly)) }
}

pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.as_bytes().chunks(63) {
            let mut terminated = [0; 64];
            terminated[..part.len()].copy_from_slice(part);
            // SAFETY: SYS_WRITE0 takes a string that ends with a zero byte.
            unsafe { call(SYS_WRITE0, terminated.as_ptr()) }
        }
        Ok(())
    }
}

pub fn exit(status: usize) -> ! {
    let block = [ADP_STOPPED_APPLICATION_EXIT, status];
    // SAFETY: SYS_EXIT_EXTENDED takes two words, the reason and the status.
    unsafe { call(SYS_EXIT_EXTENDED, block.as_ptr().cast()) }
    unreachable!("the debugger let the program go on after its exit")
}
