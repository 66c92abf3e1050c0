//! How deep a call goes: the free stack is filled with a pattern, and afterwards the lowest word
//! without it is sought.

use core::arch::asm;

const PATTERN: u32 = 0xa5c3_3c5a;
/// Room below the stack pointer for `paint`'s own frame.
const MARGIN_BYTES: usize = 64;

unsafe extern "C" {
    /// cortex-m-rt's linker script: the end of the statics. There is no heap: all from here is stack.
    static mut __sheap: u32;
}

pub struct Painted {
    lowest: *mut u32,
    top: *mut u32,
}

/// Fills the free stack below the caller's frame.
#[inline(never)]
pub fn paint() -> Painted {
    let top: *mut u32;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, sp", out(reg) top, options(nomem, nostack, preserves_flags)) };
    let lowest = &raw mut __sheap;
    let mut word = lowest;
    while word < top.wrapping_byte_sub(MARGIN_BYTES) {
        // SAFETY: nothing is in use between the statics and the stack pointer, and no interrupt is
        // enabled that could use it meanwhile.
        unsafe { word.write_volatile(PATTERN) };
        word = word.wrapping_add(1);
    }
    Painted { lowest, top }
}

impl Painted {
    /// Bytes from the stack pointer at `paint` down to the deepest word that was written since;
    /// at least `MARGIN_BYTES`.
    pub fn used_bytes(&self) -> usize {
        let mut word = self.lowest;
        // SAFETY: all words from `lowest` up to `top` are RAM.
        while word < self.top.wrapping_byte_sub(MARGIN_BYTES) && unsafe { word.read_volatile() } == PATTERN {
            word = word.wrapping_add(1);
        }
        self.top as usize - word as usize
    }
}
