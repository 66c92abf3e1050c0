//! Functions of a code from a table, a vector of codes at a time.

use super::{Avx2, Vbmi};
use crate::kernels::portable::lookup_maps;
use crate::memory::Memory;
use crate::steps::Lookup;
use core::arch::x86_64::*;
use core::ops::Range;

/// Codes that AVX2 looks up at a time.
const HALF: usize = 32;

/// Codes that AVX-512 looks up at a time.
const WHOLE: usize = 64;

/// See [`Lookup`]: sixteen tables of 16 values, looked up by the lower half of a code, of which its upper half
/// chooses one bit by bit. Bound by shuffles and blends: 16 and 15 for 32 codes.
#[inline(always)]
pub fn run(_: Avx2, memory: &Memory<'_>, step: &Lookup, rows: Range<usize>) -> Option<()> {
    #[target_feature(enable = "avx2")]
    fn row(table: &[u8; 256], from: *const u8, to: *mut u8, len: usize) {
        let (parts, _) = table.as_chunks::<16>();
        let mut tables = [_mm256_setzero_si256(); 16];
        for (table, part) in tables.iter_mut().zip(parts) {
            // SAFETY: a part has 16 values.
            *table = _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(part.as_ptr().cast()) });
        }
        let vector = |from: *const u8, to: *mut u8| {
            // SAFETY: whoever calls vouches for 32 codes at both places.
            let codes = unsafe { _mm256_loadu_si256(from.cast()) };
            let low = _mm256_and_si256(codes, _mm256_set1_epi8(15));
            let mut values = tables;
            for value in &mut values {
                *value = _mm256_shuffle_epi8(*value, low);
            }
            let bits = [
                _mm256_slli_epi16::<3>(codes),
                _mm256_slli_epi16::<2>(codes),
                _mm256_slli_epi16::<1>(codes),
                codes,
            ];
            for (bit, mask) in bits.into_iter().enumerate() {
                for at in 0..8 >> bit {
                    values[at] = _mm256_blendv_epi8(values[2 * at], values[2 * at + 1], mask);
                }
            }
            // SAFETY: as above.
            unsafe { _mm256_storeu_si256(to.cast(), values[0]) };
        };
        let whole = len / HALF * HALF;
        // SAFETY: whoever calls vouches for `len` codes at both places.
        unsafe {
            for at in (0..whole).step_by(HALF) {
                vector(from.add(at), to.add(at));
            }
            let mut rest = [0; HALF];
            from.add(whole).copy_to_nonoverlapping(rest.as_mut_ptr(), len - whole);
            let codes = rest;
            vector(codes.as_ptr(), rest.as_mut_ptr());
            rest.as_ptr().copy_to_nonoverlapping(to.add(whole), len - whole);
        }
    }
    let (table, input, output) = lookup_maps(memory, step, &rows)?;
    for y in rows {
        // SAFETY: the token proves AVX2; the maps have rows of as many codes.
        unsafe { row(table, input.row(y), output.row(y), input.row_len()) };
    }
    Some(())
}

/// As [`run`]: two tables of 128 values, of which a code's upper bit chooses one.
#[inline(always)]
pub fn run_vbmi(_: Vbmi, memory: &Memory<'_>, step: &Lookup, rows: Range<usize>) -> Option<()> {
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn row(table: &[u8; 256], from: *const u8, to: *mut u8, len: usize) {
        let (parts, _) = table.as_chunks::<WHOLE>();
        let mut tables = [_mm512_setzero_si512(); 4];
        for (table, part) in tables.iter_mut().zip(parts) {
            // SAFETY: a part has 64 values.
            *table = unsafe { _mm512_loadu_si512(part.as_ptr().cast()) };
        }
        let values = |codes: __m512i| {
            let low = _mm512_permutex2var_epi8(tables[0], codes, tables[1]);
            let high = _mm512_permutex2var_epi8(tables[2], codes, tables[3]);
            _mm512_mask_blend_epi8(_mm512_movepi8_mask(codes), low, high)
        };
        let whole = len / WHOLE * WHOLE;
        // SAFETY: whoever calls vouches for `len` codes at both places; what the mask leaves out is not touched.
        unsafe {
            for at in (0..whole).step_by(WHOLE) {
                let codes = _mm512_loadu_si512(from.add(at).cast());
                _mm512_storeu_si512(to.add(at).cast(), values(codes));
            }
            let mask = (1 << (len - whole)) - 1;
            let codes = _mm512_maskz_loadu_epi8(mask, from.add(whole).cast());
            _mm512_mask_storeu_epi8(to.add(whole).cast(), mask, values(codes));
        }
    }
    let (table, input, output) = lookup_maps(memory, step, &rows)?;
    for y in rows {
        // SAFETY: the token proves the features; the maps have rows of as many codes.
        unsafe { row(table, input.row(y), output.row(y), input.row_len()) };
    }
    Some(())
}
