//! Reading the disk: ATA, programmed input, 28-bit addresses. The first sector starts with the program's size in
//! bytes, the program follows in the second.

use crate::out;
use core::arch::asm;

const SECTOR: usize = 512;
const DATA: u16 = 0x1f0;
const STATUS: u16 = 0x1f7;
const BUSY: u8 = 0x80;
const DATA_READY: u8 = 0x08;
const READ: u8 = 0x20;
const AT_A_TIME: usize = 128;

/// Puts the program at `to`, where as many bytes must be free, up to a whole sector.
pub unsafe fn load(to: usize) {
    let mut first = [0_u64; SECTOR / 8];
    // SAFETY: a sector has room in `first`, the others in what the caller promises.
    unsafe {
        read(0, 1, first.as_mut_ptr() as usize);
        let sectors = (first[0] as usize).div_ceil(SECTOR);
        for at in (0..sectors).step_by(AT_A_TIME) {
            read(1 + at, AT_A_TIME.min(sectors - at), to + at * SECTOR);
        }
    }
}

unsafe fn read(sector: usize, count: usize, to: usize) {
    // SAFETY: the registers of the first disk; each answer has the words of one sector.
    unsafe {
        wait(BUSY, 0);
        out(0x1f2, count as u8);
        out(0x1f3, sector as u8);
        out(0x1f4, (sector >> 8) as u8);
        out(0x1f5, (sector >> 16) as u8);
        out(0x1f6, 0xe0 | (sector >> 24) as u8);
        out(STATUS, READ);
        for at in 0..count {
            wait(BUSY | DATA_READY, DATA_READY);
            asm!("rep insw", in("dx") DATA, inout("rdi") to + at * SECTOR => _, inout("rcx") SECTOR / 2 => _, options(nostack, preserves_flags));
        }
    }
}

fn wait(mask: u8, value: u8) {
    loop {
        let status: u8;
        // SAFETY: reading the status changes nothing that is used here.
        unsafe {
            asm!("in al, dx", in("dx") STATUS, out("al") status, options(nomem, nostack, preserves_flags))
        };
        if status & mask == value {
            return;
        }
    }
}
