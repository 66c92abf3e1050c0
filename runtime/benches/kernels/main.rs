//! Speed of the kernels on the layers of MobileNetV2 1.0 at 224×224, beside the peak of multiply-adds that
//! one core reaches in the same run: `cargo bench -p mobilec-runtime --bench kernels [-- FILTER]`.

#[cfg(target_arch = "x86_64")]
mod avx2;

fn main() {
    #[cfg(target_arch = "x86_64")]
    avx2::main();
}
