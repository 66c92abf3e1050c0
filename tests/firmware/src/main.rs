//! Classifies the pictures of tests/digits on a Cortex-M4F and measures the stack that inference needs.
//!
//! Needs a debugger or an emulator with semihosting. Exit status: 0, or 101 after a panic, 102 after
//! a fault.

#![no_std]
#![no_main]

#[path = "../../device/classify.rs"]
mod classify;
mod semihosting;
mod stack;

use core::fmt::Write;
use core::panic::PanicInfo;
use cortex_m_rt::{ExceptionFrame, entry, exception};
use semihosting::{Console, exit};

#[entry]
fn main() -> ! {
    let mut deepest = 0;
    let report = classify::report(&mut Console, |inference| {
        let painted = stack::paint();
        inference();
        deepest = deepest.max(painted.used_bytes());
    });
    let report = report.and_then(|()| writeln!(Console, "# stack {deepest} bytes"));
    exit(if report.is_ok() { 0 } else { 1 })
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    // Nothing is left to do if the console fails too.
    let _ = writeln!(Console, "{info}");
    exit(101)
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    let _ = writeln!(Console, "HardFault {frame:?}");
    exit(102)
}
