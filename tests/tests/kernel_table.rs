//! Every row of the kernel tables names a kernel of the runtime that takes the family's step.

#[test]
fn rows_type_check_against_the_runtime() {
    every_row_names_a_kernel();
}

include!(concat!(env!("OUT_DIR"), "/kernel_rows.rs"));

#[test]
fn paths_are_unique_within_a_family_and_element() {
    let mut seen = Vec::new();
    for kernel in mobilec_targets::kernels::all() {
        let key = (kernel.path, kernel.family, kernel.element);
        assert!(!seen.contains(&key), "{key:?} stands twice");
        seen.push(key);
    }
}
