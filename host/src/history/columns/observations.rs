//! A column of observations, some rows at a time.

use super::places::Place;
use super::reason;
use super::Kind;
use algodistill_core::interface::{MAX_PIXEL_BYTES, MAX_VECTOR_SIZE};
use parquet::basic::Repetition;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{AsBytes, ByteArrayType, DataType, FixedLenByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::RowGroupReader;

/// Most numbers in a page of lists: all lists of a page may be in memory together.
const MAX_LISTS_OF_A_PAGE: u64 = 1 << 26;

/// So many more may there be, for the row to be named that has too many.
const LISTS_TO_NAME: u64 = 1 << 20;

/// Values of some rows.
#[derive(Default)]
pub(super) struct Values {
    /// Which rows have a value.
    pub known: Vec<bool>,
    /// Of the rows that have one, row by row.
    pub words: Vec<i32>,
}

/// Reads a column of observations.
pub(super) struct Observations {
    name: String,
    kind: Kind,
    /// Null where it is false is refused.
    nullable: bool,
    unsigned: bool,
    /// Rows of the row group that were read.
    row: usize,
    typed: Typed,
}

enum Typed {
    Int32(TypedColumn<Int32Type>),
    Int64(TypedColumn<Int64Type>),
    Bytes(TypedColumn<ByteArrayType>),
    FixedBytes(TypedColumn<FixedLenByteArrayType>),
}

impl Observations {
    /// The column at `place`; its kind is 'kind', of 0 where the first row says how many there are.
    pub fn new(
        group: &dyn RowGroupReader,
        place: Place,
        kind: Kind,
        nullable: bool,
    ) -> std::result::Result<Self, String> {
        let description = group.metadata().column(place.column).column_descr_ptr();
        let name = description.path().parts()[0].clone();
        let undecoded = |e: ParquetError| format!("column {name} cannot be decoded: {}", reason(&e));
        let mut pages = group.get_column_page_reader(place.column).map_err(undecoded)?;
        if description.max_rep_level() > 0 {
            let rows = group.metadata().num_rows().max(0) as u64;
            pages = Box::new(Lists {
                pages,
                left: rows.saturating_mul(MAX_VECTOR_SIZE as u64).saturating_add(LISTS_TO_NAME),
            });
        }
        let typed = match (place.kind, description.physical_type()) {
            (Kind::Bytes(_), parquet::basic::Type::BYTE_ARRAY) => {
                Typed::Bytes(TypedColumn::new(description, pages))
            }
            (Kind::Bytes(_), _) => Typed::FixedBytes(TypedColumn::new(description, pages)),
            (_, parquet::basic::Type::INT32) => Typed::Int32(TypedColumn::new(description, pages)),
            _ => Typed::Int64(TypedColumn::new(description, pages)),
        };
        Ok(Self { name, kind, nullable, unsigned: place.unsigned, row: 0, typed })
    }

    /// How much there is in each row, once one was read.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Reads the next `count` rows.
    pub fn next(&mut self, count: usize, values: &mut Values) -> std::result::Result<(), String> {
        values.known.clear();
        values.words.clear();
        let Self { name, kind, nullable, unsigned, row, typed } = self;
        let unsigned = *unsigned;
        let mut row_of = Row { name, kind, nullable: *nullable, row, values };
        let read = match typed {
            Typed::Int32(records) => records.read(count, |found| {
                let number = |&value: &i32| if unsigned { i64::from(value as u32) } else { value.into() };
                row_of.numbers(found.map(|found| found.iter().map(number)))
            }),
            Typed::Int64(records) => records.read(count, |found| {
                let number = |&value: &i64| if unsigned && value < 0 { i64::MAX } else { value };
                row_of.numbers(found.map(|found| found.iter().map(number)))
            }),
            Typed::Bytes(records) => records.read(count, |found| {
                row_of.bytes(found.and_then(|found| found.first()).map(AsBytes::as_bytes))
            }),
            Typed::FixedBytes(records) => records.read(count, |found| {
                row_of.bytes(found.and_then(|found| found.first()).map(AsBytes::as_bytes))
            }),
        };
        match read {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("column {name} ends at or after row {row} of its row group")),
            Err(Unread::Undecoded(e)) => Err(format!("column {name} cannot be decoded: {}", reason(&e))),
            Err(Unread::NullInList) => {
                Err(format!("column {name} has a null in the list of row {row} of its row group"))
            }
            Err(Unread::Refused(problem)) => Err(problem),
        }
    }
}

/// The row that is being read.
struct Row<'a> {
    name: &'a str,
    kind: &'a mut Kind,
    nullable: bool,
    row: &'a mut usize,
    values: &'a mut Values,
}

impl Row<'_> {
    fn numbers(
        &mut self,
        found: Option<impl ExactSizeIterator<Item = i64>>,
    ) -> std::result::Result<(), String> {
        let Self { name, kind, row, values, .. } = self;
        let Some(found) = found else { return self.null() };
        let count = found.len();
        match kind {
            Kind::List(0) if count > MAX_VECTOR_SIZE => {
                return Err(format!(
                    "column {name} has a list of {count} in row {row} of its row group, expected at most {MAX_VECTOR_SIZE} numbers"
                ));
            }
            Kind::List(0) if count > 0 => **kind = Kind::List(count),
            Kind::List(width) if count != *width || count == 0 => {
                let expected = match width {
                    0 => format!("1 to {MAX_VECTOR_SIZE} numbers"),
                    width => format!("{width} in all"),
                };
                return Err(format!(
                    "column {name} has a list of {count} in row {row} of its row group, expected {expected}"
                ));
            }
            _ => {}
        }
        for number in found {
            let word = i32::try_from(number).map_err(|_| {
                format!("column {name} has {number} in row {row} of its row group, expected a 32-bit integer")
            })?;
            values.words.push(word);
        }
        values.known.push(true);
        **row += 1;
        Ok(())
    }

    fn bytes(&mut self, found: Option<&[u8]>) -> std::result::Result<(), String> {
        let Self { name, kind, row, values, .. } = self;
        let Some(found) = found else { return self.null() };
        let count = found.len();
        match kind {
            _ if count == 0 => {
                return Err(format!(
                    "column {name} has no bytes in row {row} of its row group, expected those of a picture"
                ));
            }
            Kind::Bytes(0) if count > MAX_PIXEL_BYTES => {
                return Err(format!(
                    "column {name} has {count} bytes in row {row} of its row group, expected a picture of at most {MAX_PIXEL_BYTES}"
                ));
            }
            Kind::Bytes(0) => **kind = Kind::Bytes(count),
            Kind::Bytes(bytes) if count != *bytes => {
                return Err(format!(
                    "column {name} has another number of bytes, {count}, in row {row} of its row group, expected \
                     {bytes} in all"
                ));
            }
            _ => {}
        }
        let first = values.words.len();
        values.words.resize(first + count.div_ceil(4), 0);
        bytemuck::cast_slice_mut::<i32, u8>(&mut values.words[first..])[..count].copy_from_slice(found);
        values.known.push(true);
        **row += 1;
        Ok(())
    }

    fn null(&mut self) -> std::result::Result<(), String> {
        let Self { name, row, .. } = self;
        if !self.nullable {
            return Err(format!("column {name} has no value at row {row} of its row group"));
        }
        self.values.known.push(false);
        **row += 1;
        Ok(())
    }
}

/// Why rows were not read.
enum Unread {
    Undecoded(ParquetError),
    NullInList,
    Refused(String),
}

/// Reads rows of one value each, or of a list of them.
struct TypedColumn<T: DataType> {
    reader: ColumnReaderImpl<T>,
    is_list: bool,
    /// Level of a value that is there.
    a_value: i16,
    /// Level of an empty list.
    an_empty_list: i16,
    values: Vec<T::T>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

/// Rows that are decoded at a time: at most 4 MB of pictures.
const ROWS: usize = 1 << 10;

impl<T: DataType> TypedColumn<T> {
    fn new(description: parquet::schema::types::ColumnDescPtr, pages: Box<dyn PageReader>) -> Self {
        let a_value = description.max_def_level();
        // Not `is_optional`, which is also true of what is repeated.
        let optional = description.self_type().get_basic_info().repetition() == Repetition::OPTIONAL;
        Self {
            is_list: description.max_rep_level() > 0,
            a_value,
            // Behind a list that is null.
            an_empty_list: a_value - 1 - i16::from(optional),
            reader: ColumnReaderImpl::new(description, pages),
            values: Vec::new(),
            definition: Vec::new(),
            repetition: Vec::new(),
        }
    }

    /// Passes the next `count` rows to `each`, null as `None`; false where they end before.
    fn read(
        &mut self,
        count: usize,
        mut each: impl FnMut(Option<&[T::T]>) -> std::result::Result<(), String>,
    ) -> std::result::Result<bool, Unread> {
        let mut left = count;
        while left > 0 {
            let Self { values, definition, repetition, a_value, .. } = self;
            let most = left.min(ROWS);
            let (read, found, _) = self
                .reader
                .read_records(most, Some(&mut *definition), Some(&mut *repetition), values)
                .map_err(Unread::Undecoded)?;
            if read == 0 || read > most {
                return Ok(false);
            }
            left -= read;
            if *a_value == 0 {
                if found != read || values.len() != read {
                    return Ok(false);
                }
                values
                    .drain(..)
                    .try_for_each(|value| each(Some(std::slice::from_ref(&value))))
                    .map_err(Unread::Refused)?;
                continue;
            }
            let levels = definition.len();
            if self.is_list && repetition.len() != levels {
                return Ok(false);
            }
            let mut next = 0;
            let mut level = 0;
            for _ in 0..read {
                if level >= levels {
                    return Ok(false);
                }
                let end = match self.is_list {
                    true => (level + 1..levels).find(|&end| repetition[end] == 0).unwrap_or(levels),
                    false => level + 1,
                };
                let own = &definition[level..end];
                let known = own.iter().filter(|level| **level == *a_value).count();
                let row = match own[0] {
                    _ if known > 0 && known < own.len() => return Err(Unread::NullInList),
                    first if known > 0 || self.is_list && first == self.an_empty_list => {
                        let Some(row) = values.get(next..next + known) else { return Ok(false) };
                        Some(row)
                    }
                    first if self.is_list && first > self.an_empty_list => return Err(Unread::NullInList),
                    _ => None,
                };
                each(row).map_err(Unread::Refused)?;
                next += known;
                level = end;
            }
            // A list at the end of a page may go on in the next one, and is only counted then.
            values.drain(..next);
            definition.drain(..level);
            repetition.drain(..level.min(repetition.len()));
        }
        Ok(true)
    }
}

/// Pages of lists, refused where they say that they have more than any list may.
struct Lists {
    pages: Box<dyn PageReader>,
    left: u64,
}

impl PageReader for Lists {
    fn get_next_page(&mut self) -> parquet::errors::Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        if let Some(Page::DataPage { num_values, .. } | Page::DataPageV2 { num_values, .. }) = &page {
            let numbers = u64::from(*num_values);
            if numbers > self.left.min(MAX_LISTS_OF_A_PAGE) {
                return Err(ParquetError::General(format!(
                    "a page has {numbers} numbers, expected lists of at most {MAX_VECTOR_SIZE} and pages of at most \
                     {MAX_LISTS_OF_A_PAGE}"
                )));
            }
            self.left -= numbers;
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> parquet::errors::Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> parquet::errors::Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> parquet::errors::Result<bool> {
        self.pages.at_record_boundary()
    }
}

impl Iterator for Lists {
    type Item = parquet::errors::Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}
