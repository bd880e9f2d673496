//! Observations as Python has them: the words that a model takes. The rules are those of
//! `algodistill/spaces.py`.

use crate::arguments::shown;
use crate::error;
use algodistill_core::{Channel, Interface};
use numpy::{Element, PyArray1, PyArrayDyn, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyList, PyString, PyTuple};

/// Deepest nesting of tuples and lists.
const MAX_DEPTH: u32 = 8;
/// Most dimensions that an array can have here; NumPy 2 has up to 64.
const MAX_DIMENSIONS: usize = 32;
/// What a float is multiplied by.
const SCALE: f64 = 65_536.0;

/// How observations become words.
pub struct Coding {
    interface: Interface,
    space: Option<Space>,
}

/// A space of gymnasium, and what `algodistill.spaces` makes of it.
struct Space {
    space: Py<PyAny>,
    words: Py<PyAny>,
}

impl Coding {
    /// Of a model with this interface; of a `space` where one is given, which must fit.
    pub fn new(interface: Interface, space: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let space = space.map(|space| Space::new(&interface, space)).transpose()?;
        Ok(Self { interface, space })
    }

    /// The space, where one is known.
    pub fn space(&self) -> Option<&Py<PyAny>> {
        self.space.as_ref().map(|space| &space.space)
    }

    /// Reads `observation`, the argument called `name`, into `words`, which is emptied first. Without a
    /// space it is a number, an array, or a tuple or list of these, in the order of the channels; `None`,
    /// an empty one, or the 0 of a space of one value where a model has no channels.
    pub fn read(&self, name: &str, observation: &Bound<'_, PyAny>, words: &mut Vec<i32>) -> PyResult<()> {
        words.clear();
        if let Some(space) = &self.space {
            let given = space.words.bind(observation.py()).call1((observation,))?;
            match given.cast::<PyArray1<i32>>() {
                Ok(array) => words.extend(array.try_readonly()?.as_array()),
                Err(_) => *words = given.extract()?,
            }
            return Ok(());
        }
        let interface = &self.interface;
        let mut reader = Reader { interface, name, words, channel: 0, offset: 0, numbers: 0, floats: false };
        let nothing = observation.is_none() || (interface.channels.is_empty() && is_zero(observation));
        if !nothing {
            reader.read(observation, 0)?;
        }
        reader.finish()
    }
}

impl Space {
    fn new(interface: &Interface, space: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = space.py();
        let coding = py.import("algodistill.spaces")?.getattr("ObservationSpace")?.call1((space,))?;
        let channels = py.import("json")?.call_method1("dumps", (coding.getattr("channels")?,))?;
        let own: Vec<Channel> = serde_json::from_str(channels.extract()?)
            .map_err(|problem| error::argument("observation_space", problem))?;
        if own != interface.channels.as_slice() {
            let problem = format!(
                "{space} is ({}), but the model sees ({}); give a model that was trained on histories of this space",
                in_words(&own),
                in_words(&interface.channels)
            );
            return Err(error::argument("observation_space", problem));
        }
        Ok(Self { space: space.clone().unbind(), words: coding.getattr("words")?.unbind() })
    }
}

fn in_words(channels: &[Channel]) -> String {
    let channels: Vec<String> = channels.iter().map(ToString::to_string).collect();
    channels.join(", ")
}

fn is_zero(observation: &Bound<'_, PyAny>) -> bool {
    observation.extract::<i64>().is_ok_and(|number| number == 0)
}

struct Reader<'a> {
    interface: &'a Interface,
    /// Of the argument.
    name: &'a str,
    words: &'a mut Vec<i32>,
    channel: usize,
    /// Numbers of the channel that were read.
    offset: usize,
    /// Numbers that were read.
    numbers: usize,
    /// Whether a number of the channel was a float: then all of them are.
    floats: bool,
}

impl Reader<'_> {
    fn read(&mut self, value: &Bound<'_, PyAny>, depth: u32) -> PyResult<()> {
        if value.is_exact_instance_of::<PyInt>() {
            return self.integer(value);
        }
        if let Ok(items) = value.cast::<PyTuple>() {
            return items.iter_borrowed().try_for_each(|item| self.item(&item, depth));
        }
        if let Ok(items) = value.cast::<PyList>() {
            return items.iter().try_for_each(|item| self.item(&item, depth));
        }
        if let Ok(array) = value.cast::<PyUntypedArray>() {
            return self.array(array, depth);
        }
        if let Ok(number) = value.cast::<PyFloat>() {
            return self.float(number.value());
        }
        // Scalars of NumPy; what is no number has neither.
        if let Ok(index) = value.call_method0("__index__") {
            return self.integer(&index);
        }
        match value.extract::<f64>() {
            Ok(number) if !value.is_instance_of::<PyString>() => self.float(number),
            _ => {
                let problem = format!("has {} in it, expected {}", shown(value), self.expected());
                Err(error::argument(self.name, problem))
            }
        }
    }

    fn item(&mut self, item: &Bound<'_, PyAny>, depth: u32) -> PyResult<()> {
        if depth == MAX_DEPTH {
            let problem = format!("is nested more than {MAX_DEPTH} deep, expected {}", self.expected());
            return Err(error::argument(self.name, problem));
        }
        self.read(item, depth + 1)
    }

    fn array(&mut self, array: &Bound<'_, PyUntypedArray>, depth: u32) -> PyResult<()> {
        self.check_shape(array.shape())?;
        if array.ndim() > MAX_DIMENSIONS {
            let problem = format!("has {} dimensions, expected {}", array.ndim(), self.expected());
            return Err(error::argument(self.name, problem));
        }
        if self.each::<i64>(array, |reader, number| reader.whole(number))?
            || self.each::<u8>(array, |reader, number| reader.whole(number.into()))?
            || self.each::<f32>(array, |reader, number| reader.float(number.into()))?
            || self.each::<i32>(array, |reader, number| reader.whole(number.into()))?
            || self.each::<f64>(array, Self::float)?
        {
            return Ok(());
        }
        self.read(&array.call_method0("tolist")?, depth)
    }

    /// Gives `take` every number of `array`, where it is one of `T`; whether it is.
    fn each<T: Element + Copy>(
        &mut self,
        array: &Bound<'_, PyUntypedArray>,
        mut take: impl FnMut(&mut Self, T) -> PyResult<()>,
    ) -> PyResult<bool> {
        let Ok(array) = array.cast::<PyArrayDyn<T>>() else { return Ok(false) };
        let borrowed = array.try_readonly().map_err(|problem| error::argument(self.name, problem))?;
        borrowed.as_array().iter().try_for_each(|number| take(self, *number))?;
        Ok(true)
    }

    /// A picture has its own shape, or is flat: one that is turned round has as many bytes.
    fn check_shape(&self, shape: &[usize]) -> PyResult<()> {
        let Some(&Channel::Pixels { height, width, colours }) = self.interface.channels.get(self.channel)
        else {
            return Ok(());
        };
        let own = [usize::from(height), usize::from(width), usize::from(colours)];
        let fits = shape.len() < 2 || shape == own || (colours == 1 && shape == &own[..2]);
        match fits {
            true => Ok(()),
            false => {
                let problem =
                    format!("has a picture of shape {shape:?}, expected {own:?} (height, width, colours)");
                Err(error::argument(self.name, problem))
            }
        }
    }

    fn integer(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        match value.extract::<i64>() {
            Ok(number) => self.whole(number),
            Err(_) => Err(self.refuse(shown(value))),
        }
    }

    /// A float has 16 bits after the point, in the numbers of a vector only.
    fn float(&mut self, number: f64) -> PyResult<()> {
        let is_vector = matches!(self.next_channel()?, Channel::Vector { .. });
        if !is_vector || !number.is_finite() {
            return Err(self.refuse(number));
        }
        if !self.floats {
            self.floats = true;
            let first = self.words.len() - self.offset;
            self.words[first..].iter_mut().for_each(|word| *word = fixed_point(f64::from(*word)));
        }
        self.words.push(fixed_point(number));
        self.advance();
        Ok(())
    }

    fn whole(&mut self, number: i64) -> PyResult<()> {
        match self.next_channel()? {
            Channel::Discrete { size } if (0..i64::from(size)).contains(&number) => {
                self.words.push(number as i32);
            }
            Channel::Vector { .. } if self.floats => self.words.push(fixed_point(number as f64)),
            Channel::Vector { .. } if i32::try_from(number).is_ok() => self.words.push(number as i32),
            Channel::Pixels { .. } if u8::try_from(number).is_ok() => {
                if self.offset.is_multiple_of(4) {
                    self.words.push(0);
                }
                if let Some(word) = self.words.last_mut() {
                    *word |= (number as i32) << (8 * (self.offset % 4));
                }
            }
            Channel::Discrete { .. } | Channel::Vector { .. } | Channel::Pixels { .. } => {
                return Err(self.refuse(number));
            }
        }
        self.advance();
        Ok(())
    }

    /// The channel of the number that comes next.
    fn next_channel(&self) -> PyResult<Channel> {
        self.interface.channels.get(self.channel).copied().ok_or_else(|| {
            let problem = format!("has more than {} numbers, expected {}", self.numbers, self.expected());
            error::argument(self.name, problem)
        })
    }

    fn advance(&mut self) {
        self.numbers += 1;
        self.offset += 1;
        if self.interface.channels.get(self.channel).is_some_and(|channel| self.offset >= channel.inputs()) {
            self.channel += 1;
            self.offset = 0;
            self.floats = false;
        }
    }

    fn finish(self) -> PyResult<()> {
        if self.channel == self.interface.channels.len() {
            return Ok(());
        }
        let problem = format!("has {} numbers, expected {}", self.numbers, self.expected());
        Err(error::argument(self.name, problem))
    }

    /// The error of the number that comes next.
    fn refuse(&self, found: impl std::fmt::Display) -> PyErr {
        let expected = match self.interface.channels.get(self.channel) {
            None => self.expected(),
            Some(Channel::Discrete { size }) => {
                format!("a whole number from 0 to {}", size.saturating_sub(1))
            }
            Some(Channel::Pixels { .. }) => "a byte of a picture, 0 to 255".into(),
            Some(Channel::Vector { .. }) => {
                "a whole number of 32 bits; of fractions take the scale that the histories were recorded with"
                    .into()
            }
        };
        error::argument(self.name, format!("[{}] is {found}, expected {expected}", self.numbers))
    }

    fn expected(&self) -> String {
        match self.interface.channels.as_slice() {
            [] => "None or (): the model sees nothing".into(),
            channels => format!("what the model sees: {}", in_words(channels)),
        }
    }
}

/// As `fixed_point` of `algodistill/spaces.py`; what is beyond 32 bits becomes the nearest that is not.
fn fixed_point(number: f64) -> i32 {
    (number * SCALE).round_ties_even() as i32
}
