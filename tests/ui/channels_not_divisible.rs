mobilec_macros::model! {
    mod net(input = [32, 32, 3], seed = 1) {
        conv 3x3 c8 s2 bn relu;
        conv 3x3 c16 g3;
        global_avg_pool;
    }
}

fn main() {}
