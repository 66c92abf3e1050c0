//! Softmax of a row.

use super::activation::exp;
use crate::kernels::vector::{Task, Vector, WIDEST};

/// `row = e^(row − max) / Σ e^(row − max)`, in place. The exponential is off by a few units in the last place, and
/// 0 is e^−87.3 or less.
pub struct Row<'a, V: Vector> {
    pub isa: V::Isa,
    pub row: &'a mut [f32],
}

impl<V: Vector> Task for Row<'_, V> {
    #[inline(always)]
    fn run(self) {
        let Self { isa, row } = self;
        let (at, len) = (row.as_mut_ptr(), row.len());
        let whole = len - len % V::LANES;
        let rest = len - whole;
        let lowest = V::splat(isa, f32::NEG_INFINITY);
        // SAFETY: whole vectors end at `whole`, and `rest` elements are behind them.
        unsafe {
            let mut largest = lowest;
            for i in (0..whole).step_by(V::LANES) {
                largest = V::load(isa, at.add(i)).max(largest);
            }
            let mut most = fold::<V>(largest, f32::NEG_INFINITY, f32::max);
            for i in whole..len {
                most = most.max(*at.add(i));
            }
            let largest = V::splat(isa, most);
            let mut sums = V::splat(isa, 0.0);
            for i in (0..whole).step_by(V::LANES) {
                let share = share(isa, V::load(isa, at.add(i)), largest);
                share.store(at.add(i));
                sums = sums.add(share);
            }
            let mut sum = fold::<V>(sums, 0.0, |a, b| a + b);
            if rest > 0 {
                let share = share(isa, V::load_partial(isa, at.add(whole), rest), largest);
                share.store_partial(at.add(whole), rest);
                for i in whole..len {
                    sum += *at.add(i);
                }
            }
            let factor = V::splat(isa, 1.0 / sum);
            for i in (0..whole).step_by(V::LANES) {
                V::load(isa, at.add(i)).mul(factor).store(at.add(i));
            }
            for i in whole..len {
                *at.add(i) *= 1.0 / sum;
            }
        }
    }
}

/// e^(x − largest)
#[inline(always)]
fn share<V: Vector>(isa: V::Isa, x: V, largest: V) -> V {
    exp(isa, x.sub(largest))
}

/// All lanes together.
#[inline(always)]
fn fold<V: Vector>(lanes: V, init: f32, f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut buffer = [init; WIDEST];
    // SAFETY: no vector is wider than the buffer.
    unsafe { lanes.store(buffer.as_mut_ptr()) };
    buffer[..V::LANES].iter().fold(init, |a, b| f(a, *b))
}
