mobilec_macros::model! {
    mod net(input = [32, 32, 3], seed = 1) {
        conv 3x3 c8 s2 bn relu;
        residual {
            pointwise c16 bn;
        }
        inverted_residual t6 c24 residual;
        global_avg_pool;
    }
}

fn main() {}
