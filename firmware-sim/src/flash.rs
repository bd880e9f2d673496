//! Flash as the weakest chip has it, and a power supply that fails at a given operation.

use ab_update::Flash;
use algodistill_core::model::weights::HEADER_LEN;
use algodistill_core::PortableRng;

/// The flash of a slot. Erasing sets a page to 0xFF, programming clears bits; a unit is programmed
/// once and then only after it was erased.
#[derive(Clone)]
pub struct SimulatedFlash {
    bytes: Vec<u8>,
    /// Whether a unit was erased and not yet programmed.
    blank: Vec<bool>,
    shape: Shape,
    supply: Supply,
}

/// Sizes of a flash memory.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Bytes erased at once.
    pub page: usize,
    /// Bytes programmed at once.
    pub unit: usize,
}

/// When the power fails.
#[derive(Clone)]
pub enum Supply {
    /// It does not.
    Steady,
    /// In front of the operation (a page erased, a unit programmed) that comes after so many more.
    Cut(usize),
    /// In the midst of that operation; the generator says how far it came.
    Torn(usize, PortableRng),
    /// It has failed.
    Off,
}

/// What the controller of the flash reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// Nothing, in truth: the power has failed.
    PowerCut,
    /// Not whole units or pages of the slot, or a unit that is not blank.
    Misuse,
}

impl SimulatedFlash {
    /// A slot for a weights file of `length` bytes, full of what somebody left there.
    pub fn new(shape: Shape, length: usize, rng: &mut PortableRng) -> Self {
        let room = length + ab_update::MOST_UNIT.max(shape.unit);
        let len = room.next_multiple_of(shape.page);
        let bytes = (0..len).map(|_| rng.below(256) as u8).collect();
        Self { bytes, blank: vec![false; len / shape.unit], shape, supply: Supply::Steady }
    }

    /// The same flash at a supply, or after a restart.
    pub fn with_supply(mut self, supply: Supply) -> Self {
        self.supply = supply;
        self
    }

    /// Whether two are the same to all that follows.
    pub fn is_like(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.blank == other.blank
    }

    /// Flips a bit of the weights file, as age does.
    pub fn age(&mut self) {
        let place = ab_update::model_offset(self) + HEADER_LEN;
        self.bytes[place] ^= 0x10;
    }

    /// One operation: `whole`, or as much of it as `torn` does before the power fails.
    fn operate(
        &mut self,
        whole: impl FnOnce(&mut [u8]),
        torn: impl FnOnce(&mut [u8], &mut PortableRng),
    ) -> Result<(), FlashError> {
        match &mut self.supply {
            Supply::Steady => whole(&mut self.bytes),
            Supply::Cut(left) | Supply::Torn(left, _) if *left > 0 => {
                *left -= 1;
                whole(&mut self.bytes);
            }
            Supply::Torn(_, rng) => {
                torn(&mut self.bytes, rng);
                self.supply = Supply::Off;
            }
            Supply::Cut(_) | Supply::Off => self.supply = Supply::Off,
        }
        match self.supply {
            Supply::Off => Err(FlashError::PowerCut),
            _ => Ok(()),
        }
    }
}

impl Flash for SimulatedFlash {
    type Error = FlashError;

    fn page_len(&self) -> usize {
        self.shape.page
    }

    fn unit_len(&self) -> usize {
        self.shape.unit
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn erase(&mut self, page: usize) -> Result<(), FlashError> {
        let Shape { page: len, unit } = self.shape;
        let place = page * len..(page + 1) * len;
        if place.end > self.bytes.len() {
            return Err(FlashError::Misuse);
        }
        // Its units may read as erased when the erasure was cut off: they are not.
        self.blank[place.start / unit..place.end / unit].fill(false);
        let torn = |bytes: &mut [u8], rng: &mut PortableRng| {
            // A part is erased, a part reads as anything (chips program a page before they erase it), the rest
            // is as it was.
            let parts = [(); 2].map(|()| rng.below(len as u32 + 1) as usize);
            for (index, byte) in bytes[place.clone()].iter_mut().enumerate() {
                *byte = match (index < parts[0], index < parts[1]) {
                    (true, true) => 0xff,
                    (false, false) => *byte,
                    _ => rng.below(256) as u8,
                };
            }
        };
        self.operate(|bytes| bytes[place.clone()].fill(0xff), torn)?;
        self.blank[place.start / unit..place.end / unit].fill(true);
        Ok(())
    }

    fn program(&mut self, offset: usize, units: &[u8]) -> Result<(), FlashError> {
        let unit = self.shape.unit;
        if !offset.is_multiple_of(unit) || !units.len().is_multiple_of(unit) {
            return Err(FlashError::Misuse);
        }
        for (index, values) in units.chunks(unit).enumerate() {
            let start = offset + index * unit;
            match self.blank.get_mut(start / unit) {
                Some(blank) if *blank => *blank = false,
                _ => return Err(FlashError::Misuse),
            }
            let program = |bytes: &mut [u8], keeps: &mut dyn FnMut() -> u8| {
                for (byte, value) in bytes[start..start + unit].iter_mut().zip(values) {
                    *byte &= value | keeps();
                }
            };
            self.operate(
                |bytes| program(bytes, &mut || 0),
                // Some of the bits are cleared, others not yet.
                |bytes, rng| program(bytes, &mut || rng.below(256) as u8),
            )?;
        }
        Ok(())
    }
}
