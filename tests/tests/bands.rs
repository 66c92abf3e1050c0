//! The planner and the emitted code must mean the same rows: `Bands` stands once in the compiler and once in
//! the runtime, which do not know each other.

use proptest::prelude::*;

proptest! {
    #[test]
    fn planner_and_runtime_agree(
        count in 1_usize..40,
        (rows, per) in (0_usize..20, 0_usize..9),
        ahead in -60_isize..60,
        total in 0_usize..200,
    ) {
        let planned = mobilec::plan::Bands { rows, ahead, per, total };
        let emitted = mobilec_runtime::Bands::new(rows, per, ahead, total);
        for band in 0..count {
            prop_assert_eq!(planned.rows(band), emitted.rows(band));
        }
    }

    #[test]
    fn all_rows_are_made_by_the_last_band(
        (rows, per) in (1_usize..20, 1_usize..9),
        ahead in -60_isize..60,
        total in 1_usize..200,
    ) {
        let bands = mobilec::plan::Bands { rows, ahead, per, total };
        prop_assert_eq!(bands.end(bands.count() - 1), total);
        prop_assert!(bands.count() == 1 || bands.end(bands.count() - 2) < total);
    }
}
