//! The planner and the emitted code must mean the same rows: `Bands` stands once in the compiler and once in
//! the runtime, which do not know each other.

use proptest::prelude::*;

proptest! {
    #[test]
    fn planner_and_runtime_agree(
        count in 1_usize..40, per_band in 0_usize..20, ahead in -30_isize..30, total in 0_usize..200
    ) {
        let planned = mobilec::plan::Bands { count, per_band, ahead, total };
        let emitted = mobilec_runtime::Bands { count, per_band, ahead, total };
        for band in 0..count {
            prop_assert_eq!(planned.rows(band), emitted.rows(band));
        }
    }
}
