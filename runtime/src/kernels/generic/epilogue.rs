//! What becomes of a tile of sums before and when it is stored; the ragged edge of the channels is here.

use super::activation::{Each, clamp, hard_sigmoid};
use crate::kernels::vector::{Task, Vector};
use crate::kernels::view::{Source, same_shape};
use crate::memory::Memory;
use crate::steps::{Activation, Epilogue, Map};

/// An epilogue whose residual lies inside the memory.
pub struct Finish<'m> {
    activation: Activation,
    residual: Option<Source<'m>>,
    after: Activation,
}

impl<'m> Finish<'m> {
    /// The epilogue of a step, when its residual has the output's shape.
    pub fn new(memory: &'m Memory<'_>, epilogue: &Epilogue, output: &Map) -> Option<Self> {
        let residual = match &epilogue.residual {
            Some(map) => {
                same_shape([map, output])?;
                Some(Source::new(memory, map)?)
            }
            None => None,
        };
        Some(Self { activation: epilogue.activation, residual, after: epilogue.after })
    }

    /// The bounds that an epilogue without a residual stores sums with, infinite ones where there are none,
    /// and whether that is all that it does.
    #[inline(always)]
    pub fn bounds(&self) -> ([f32; 2], bool) {
        const UNBOUNDED: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];
        match self.activation {
            Activation::Clamp { lo, hi } => ([lo, hi], true),
            Activation::Identity => (UNBOUNDED, true),
            _ => (UNBOUNDED, false),
        }
    }

    /// Whether nothing but bounds and a sum with the residual is to be done.
    #[inline(always)]
    pub fn is_plain(&self) -> bool {
        self.bounds().1 && (self.residual.is_none() || self.after == Activation::Identity)
    }

    /// As [`store`](Self::store), for whole vectors of one position where [`is_plain`](Self::is_plain): in a few
    /// instructions.
    ///
    /// # Safety
    ///
    /// `W` vectors must be writable from `output` on, and readable from `residual`.
    #[inline(always)]
    pub unsafe fn store_plain<V: Vector, const W: usize>(
        isa: V::Isa,
        sums: [V; W],
        output: *mut f32,
        residual: Option<*const f32>,
        [lo, hi]: [f32; 2],
    ) {
        let (lo, hi) = (V::splat(isa, lo), V::splat(isa, hi));
        for w in 0..W {
            let mut sum = clamp(sums[w], lo, hi);
            // SAFETY: the caller's.
            unsafe {
                if let Some(residual) = residual {
                    sum = sum.add(V::load(isa, residual.add(w * V::LANES)));
                }
                sum.store(output.add(w * V::LANES));
            }
        }
    }

    /// How tiles are finished, which are of whole vectors or not.
    #[inline(always)]
    pub fn ending(&self, whole: bool) -> Ending {
        if whole && self.is_plain() {
            Ending::Plain(self.bounds().0)
        } else if whole && self.activation == Activation::HardSwish && self.residual.is_none() {
            Ending::HardSwish
        } else {
            Ending::Any
        }
    }

    /// As [`store`](Self::store), where output and residual of one position lie `apart` elements behind those of the one
    /// before. A tile does by itself only what takes a few instructions a vector, for there are tiles of many shapes.
    ///
    /// # Safety
    ///
    /// As of [`store`](Self::store); the [`ending`](Self::ending) must be this epilogue's, of whole vectors only where
    /// `columns` are.
    #[inline(always)]
    pub unsafe fn store_tile<V: Vector, const M: usize, const W: usize>(
        &self,
        isa: V::Isa,
        mut sums: [[V; W]; M],
        ending: Ending,
        columns: usize,
        to: Destination,
    ) {
        let Destination { output, residual, apart } = to;
        match ending {
            Ending::Plain(bounds) => {
                for m in 0..M {
                    // SAFETY: the caller's.
                    unsafe {
                        let residual = residual.map(|residual| residual.add(m * apart));
                        Self::store_plain(isa, sums[m], output.add(m * apart), residual, bounds);
                    }
                }
            }
            Ending::HardSwish => {
                activate::<V, M, W, true>(isa, &Activation::HardSwish, &mut sums);
                for m in 0..M {
                    for w in 0..W {
                        // SAFETY: the caller's.
                        unsafe { sums[m][w].store(output.add(m * apart + w * V::LANES)) }
                    }
                }
            }
            Ending::Any => {
                // `sums` itself needs no address so, and stays in registers elsewhere.
                let mut copy = sums;
                V::apart(isa, Long { finish: self, isa, sums: &mut copy, columns, to });
            }
        }
    }

    /// The activation of sums that were stored as they are.
    ///
    /// # Safety
    ///
    /// `len` elements, whole vectors, must be readable and writable from `sums` on.
    pub unsafe fn again<V: Vector>(&self, isa: V::Isa, sums: *mut f32, len: usize) {
        V::apart(isa, Again::<V> { activation: self.activation, isa, sums, len });
    }

    /// Rows that the residual holds; without one, as many as there may be.
    pub fn rows(&self) -> usize {
        self.residual.map_or(usize::MAX, |residual| residual.rows())
    }

    /// Where row `y` of the residual begins.
    #[inline(always)]
    pub fn row(&self, y: usize) -> Option<*const f32> {
        self.residual.map(|residual| residual.row(y))
    }

    /// Finishes and stores the sums of `M` positions and the next `columns` channels, at most `W` vectors of
    /// which the last may be partial: `after(activation(sum) + residual)`. Output and residual are both at
    /// `offsets` from their bases, and may be the same memory.
    ///
    /// # Safety
    ///
    /// `columns` elements must be writable at each offset from `output`, and readable from `residual`.
    #[inline(always)]
    pub unsafe fn store<V: Vector, const M: usize, const W: usize>(
        &self,
        isa: V::Isa,
        mut sums: [[V; W]; M],
        output: [*mut f32; M],
        residual: Option<[*const f32; M]>,
        columns: usize,
    ) {
        activate::<V, M, W, true>(isa, &self.activation, &mut sums);
        let tail = columns - (W - 1) * V::LANES;
        if let Some(residual) = residual {
            for m in 0..M {
                for w in 0..W {
                    // SAFETY: the caller vouches for `columns` elements.
                    let operand = unsafe {
                        let from = residual[m].add(w * V::LANES);
                        if w + 1 < W || tail >= V::LANES {
                            V::load(isa, from)
                        } else {
                            V::load_partial(isa, from, tail)
                        }
                    };
                    sums[m][w] = sums[m][w].add(operand);
                }
            }
            activate::<V, M, W, false>(isa, &self.after, &mut sums);
        }
        for m in 0..M {
            for w in 0..W {
                // SAFETY: as above.
                unsafe {
                    let to = output[m].add(w * V::LANES);
                    if w + 1 < W || tail >= V::LANES {
                        sums[m][w].store(to);
                    } else {
                        sums[m][w].store_partial(to, tail);
                    }
                }
            }
        }
    }
}

/// How tiles are finished.
#[derive(Clone, Copy)]
pub enum Ending {
    /// Whole vectors, within bounds, plus a residual where there is one.
    Plain([f32; 2]),
    /// Whole vectors, of which the hard-swish is stored.
    HardSwish,
    /// Any.
    Any,
}

/// Where the positions of a tile are stored.
#[derive(Clone, Copy)]
pub struct Destination {
    /// The first one.
    pub output: *mut f32,
    /// What is added to it.
    pub residual: Option<*const f32>,
    /// Elements from one to the next, of both.
    pub apart: usize,
}

/// Any epilogue of any number of columns.
struct Long<'a, V: Vector, const W: usize> {
    finish: &'a Finish<'a>,
    isa: V::Isa,
    sums: &'a mut [[V; W]],
    columns: usize,
    to: Destination,
}

impl<V: Vector, const W: usize> Task for Long<'_, V, W> {
    #[inline(always)]
    fn run(self) {
        let Self { finish, isa, sums, columns, to: Destination { output, residual, apart } } = self;
        each(isa, &finish.activation, sums.as_flattened_mut());
        // SAFETY: whoever made the task vouches for `columns` elements of each position.
        unsafe {
            if let Some(residual) = residual {
                for (m, sums) in sums.iter_mut().enumerate() {
                    for w in 0..W {
                        let at = residual.add(m * apart + w * V::LANES);
                        let lanes = (columns - w * V::LANES).min(V::LANES);
                        sums[w] = sums[w].add(V::load_some(isa, at, lanes));
                    }
                }
                each(isa, &finish.after, sums.as_flattened_mut());
            }
            for (m, sums) in sums.iter().enumerate() {
                for w in 0..W {
                    let lanes = (columns - w * V::LANES).min(V::LANES);
                    sums[w].store_some(output.add(m * apart + w * V::LANES), lanes);
                }
            }
        }
    }
}

/// The activation of vectors, out of line.
#[inline(always)]
fn each<V: Vector>(isa: V::Isa, activation: &Activation, values: &mut [V]) {
    if *activation != Activation::Identity {
        V::apart(isa, Each { isa, activation, values });
    }
}

struct Again<V: Vector> {
    activation: Activation,
    isa: V::Isa,
    sums: *mut f32,
    len: usize,
}

/// Vectors that are activated together.
const TOGETHER: usize = 4;

impl<V: Vector> Task for Again<V> {
    #[inline(always)]
    fn run(self) {
        let Self { activation, isa, sums, len } = self;
        let whole = len - len % (TOGETHER * V::LANES);
        for at in (0..whole).step_by(TOGETHER * V::LANES) {
            // SAFETY: whoever made the task vouches for `len` elements.
            unsafe { activate_at::<V, TOGETHER>(isa, &activation, sums.add(at)) }
        }
        for at in (whole..len).step_by(V::LANES) {
            // SAFETY: as above.
            unsafe { activate_at::<V, 1>(isa, &activation, sums.add(at)) }
        }
    }
}

/// The activation of the next `W` vectors in memory.
///
/// # Safety
///
/// They must be readable and writable.
#[inline(always)]
unsafe fn activate_at<V: Vector, const W: usize>(isa: V::Isa, activation: &Activation, at: *mut f32) {
    let mut sums = [[V::splat(isa, 0.0); W]];
    // SAFETY: the caller's.
    unsafe {
        for w in 0..W {
            sums[0][w] = V::load(isa, at.add(w * V::LANES));
        }
        activate::<V, 1, W, true>(isa, activation, &mut sums);
        for w in 0..W {
            sums[0][w].store(at.add(w * V::LANES));
        }
    }
}

/// The activation of a tile: in registers where it is a few instructions (`HARD`: hard-swish too), else out
/// of line.
#[inline(always)]
pub fn activate<V: Vector, const M: usize, const W: usize, const HARD: bool>(
    isa: V::Isa,
    activation: &Activation,
    sums: &mut [[V; W]; M],
) {
    match *activation {
        Activation::Identity => {}
        Activation::Clamp { lo, hi } => {
            let (lo, hi) = (V::splat(isa, lo), V::splat(isa, hi));
            for sum in sums.as_flattened_mut() {
                *sum = clamp(*sum, lo, hi);
            }
        }
        Activation::HardSwish if HARD => {
            for sum in sums.as_flattened_mut() {
                *sum = sum.mul(hard_sigmoid(isa, *sum, 1.0 / 6.0, 0.5));
            }
        }
        Activation::HardSwish
        | Activation::HardSigmoid { .. }
        | Activation::Sigmoid
        | Activation::Silu
        | Activation::Gelu
        | Activation::GeluTanh
        | Activation::Tanh
        | Activation::LeakyRelu { .. }
        | Activation::Elu { .. }
        | Activation::Softplus => {
            // A copy, so that the tile itself needs no address and stays in registers elsewhere.
            let mut copy = *sums;
            let values = copy.as_flattened_mut();
            V::apart(isa, Each { isa, activation, values });
            *sums = copy;
        }
    }
}

/// `base`, `base + stride`, …
///
/// # Safety
///
/// All must lie in one allocation.
#[inline(always)]
pub unsafe fn offsets<const M: usize>(base: *const f32, stride: usize) -> [*const f32; M] {
    let mut pointers = [base; M];
    for (m, pointer) in pointers.iter_mut().enumerate() {
        // SAFETY: the caller's.
        *pointer = unsafe { base.add(m * stride) };
    }
    pointers
}

/// As [`offsets`], to write to.
///
/// # Safety
///
/// All must lie in one allocation.
#[inline(always)]
pub unsafe fn offsets_mut<const M: usize>(base: *mut f32, stride: usize) -> [*mut f32; M] {
    let mut pointers = [base; M];
    for (m, pointer) in pointers.iter_mut().enumerate() {
        // SAFETY: the caller's.
        *pointer = unsafe { base.add(m * stride) };
    }
    pointers
}
