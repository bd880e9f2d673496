//! The processor cores that a folder can be for, and the libraries that run on each.

/// The static library of the C API, compiled for one target.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Library {
    /// Of the compiler.
    pub triple: &'static str,
    /// `-C target-cpu`; empty for the one that the target stands for.
    pub cpu: &'static str,
}

/// A core.
#[derive(Debug, serde::Serialize)]
pub struct Core {
    /// On the command line.
    pub name: &'static str,
    /// As its maker writes it.
    pub title: &'static str,
    /// Takes `float` arguments in the registers of integers: `-mfloat-abi=soft` and `softfp`.
    pub soft: &'static Library,
    /// Takes them in the registers of the FPU, where the core has one.
    pub hard: Option<&'static Library>,
    /// GCC's flags for the library that is taken unless something else is asked for: `hard`, where
    /// there is one.
    pub flags: &'static str,
    /// Bytes of flash of library, loop and the device of `.ci/deploy`, which compares them with what
    /// the linker makes.
    pub c_code: usize,
    /// The same of a project in Rust, where there is one for the core.
    pub rust_code: Option<usize>,
}

impl Core {
    /// Every library that runs on it.
    pub fn libraries(&self) -> impl Iterator<Item = &'static Library> {
        std::iter::once(self.soft).chain(self.hard)
    }
}

static V6M: Library = Library { triple: "thumbv6m-none-eabi", cpu: "" };
static V7M: Library = Library { triple: "thumbv7m-none-eabi", cpu: "" };
static V7EM: Library = Library { triple: "thumbv7em-none-eabi", cpu: "" };
static V7EM_HARD: Library = Library { triple: "thumbv7em-none-eabihf", cpu: "" };
// Without the name of a processor, which would bring instructions of its FPU: that may be switched off.
static V8M: Library = Library { triple: "thumbv8m.main-none-eabi", cpu: "" };
// With the DSP extension, which the target alone does not promise.
static V8M_HARD: Library = Library { triple: "thumbv8m.main-none-eabihf", cpu: "cortex-m33" };
static RV32IMC: Library = Library { triple: "riscv32imc-unknown-none-elf", cpu: "" };
static RV32IMAC: Library = Library { triple: "riscv32imac-unknown-none-elf", cpu: "" };

/// All of them.
pub static CORES: [Core; 7] = [
    Core {
        name: "cortex-m0plus",
        title: "Cortex-M0+",
        soft: &V6M,
        hard: None,
        flags: "-mcpu=cortex-m0plus -mthumb -mfloat-abi=soft",
        c_code: 43_486,
        rust_code: None,
    },
    Core {
        name: "cortex-m3",
        title: "Cortex-M3",
        soft: &V7M,
        hard: None,
        flags: "-mcpu=cortex-m3 -mthumb -mfloat-abi=soft",
        c_code: 46_740,
        rust_code: Some(46_904),
    },
    Core {
        name: "cortex-m4",
        title: "Cortex-M4 with FPU",
        soft: &V7EM,
        hard: Some(&V7EM_HARD),
        flags: "-mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard",
        c_code: 41_818,
        rust_code: Some(41_948),
    },
    Core {
        name: "cortex-m7",
        title: "Cortex-M7",
        soft: &V7EM,
        hard: Some(&V7EM_HARD),
        flags: "-mcpu=cortex-m7 -mthumb -mfpu=fpv5-sp-d16 -mfloat-abi=hard",
        c_code: 41_598,
        rust_code: Some(41_948),
    },
    Core {
        name: "cortex-m33",
        title: "Cortex-M33 with FPU",
        soft: &V8M,
        hard: Some(&V8M_HARD),
        flags: "-mcpu=cortex-m33 -mthumb -mfpu=fpv5-sp-d16 -mfloat-abi=hard",
        c_code: 44_472,
        rust_code: Some(47_440),
    },
    Core {
        name: "rv32imc",
        title: "RISC-V RV32IMC",
        soft: &RV32IMC,
        hard: None,
        flags: "-march=rv32imc -mabi=ilp32",
        c_code: 40_932,
        rust_code: None,
    },
    Core {
        name: "rv32imac",
        title: "RISC-V RV32IMAC",
        soft: &RV32IMAC,
        hard: None,
        flags: "-march=rv32imac -mabi=ilp32",
        c_code: 40_932,
        rust_code: Some(45_270),
    },
];
