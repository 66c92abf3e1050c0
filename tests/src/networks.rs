//! Random networks of the family, as texts: chains with residual adds, squeeze-and-excite, odd sizes, strides,
//! kernels of 1 to 7 rows and columns, and dilation. The same number gives the same network everywhere.

/// xorshift64*.
pub struct Random(u64);

impl Random {
    /// Numbers of their own for each seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    fn from(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    fn one(&mut self, of: &[&'static str]) -> &'static str {
        of[self.below(of.len())]
    }
}

/// The text of a network.
pub fn text(seed: u64) -> String {
    let mut random = Random::new(seed);
    let [height, width, channels] = [random.from(9, 37), random.from(5, 29), random.from(1, 4)];
    let symmetric = random.chance(3);
    let mut network = Network { random, symmetric, strides: 1 };
    let mut body = vec![network.layer("conv")];
    for _ in 0..network.random.from(2, 7) {
        let statement = network.statement();
        body.push(statement);
    }
    if network.random.chance(4) {
        body.extend(["output early;", "pointwise c6;"].map(str::to_owned));
    }
    if network.random.chance(2) {
        body.extend(["pointwise c24 relu;", "global_avg_pool;", "dense 7;"].map(str::to_owned));
    }
    let padding = if symmetric { "symmetric" } else { "same" };
    let input = format!("input = [{height}, {width}, {channels}]");
    format!("mod net({input}, padding = {padding}, seed = {seed}) {{\n    {}\n}}", body.join("\n    "))
}

struct Network {
    random: Random,
    /// Kernels are odd then: even ones would make maps smaller, until nothing is left.
    symmetric: bool,
    strides: usize,
}

impl Network {
    fn statement(&mut self) -> String {
        match self.random.below(9) {
            0 => self.layer("conv"),
            1 | 2 => self.layer("depthwise"),
            3 => format!("pointwise c{} {};", self.random.from(3, 20), self.activation()),
            4 => format!(
                "residual {{ depthwise {} same {}; pointwise c = in; }}",
                self.kernel(),
                self.activation()
            ),
            5 => "squeeze_excite r = 0.5;".to_owned(),
            6 => format!("activate {};", self.activation()),
            _ => self.inverted(),
        }
    }

    fn activation(&mut self) -> &'static str {
        self.random.one(&["relu", "relu6", "hard_swish", "silu"])
    }

    fn taps(&mut self) -> usize {
        if self.symmetric { 2 * self.random.below(4) + 1 } else { self.random.from(1, 7) }
    }

    fn kernel(&mut self) -> String {
        format!("{}x{}", self.taps(), self.taps())
    }

    /// A stride of 2 or 3 now and then, as long as rows are left; or a dilation.
    fn stride(&mut self) -> String {
        if self.strides < 6 && self.random.chance(3) {
            let stride = self.random.from(2, 3);
            self.strides *= stride;
            return format!("s{stride}");
        }
        if self.random.chance(5) { "d2".to_owned() } else { String::new() }
    }

    fn layer(&mut self, word: &str) -> String {
        let channels = if word == "conv" { format!("c{}", self.random.from(3, 20)) } else { String::new() };
        let (kernel, stride) = (self.kernel(), self.stride());
        format!("{word} {kernel} {channels} {stride} bn {};", self.activation())
    }

    fn inverted(&mut self) -> String {
        let se = if self.random.chance(3) { "se(r = 0.25)" } else { "" };
        let size = self.taps();
        let mut stride = "";
        if self.strides < 6 && self.random.chance(4) {
            self.strides *= 2;
            stride = "s2";
        }
        let [t, c, n] = [(1, 4), (3, 12), (1, 2)].map(|(low, high)| self.random.from(low, high));
        format!("inverted_residual t{t} c{c} n{n} {size}x{size} {stride} {se};")
    }
}
