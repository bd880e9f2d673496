//! Columns of observations as other programs may write them.

use super::*;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use std::fs::File;
use std::path::Path;

const ROWS: usize = 4;

/// One history of four steps. The columns of `observation` are written by `fill`.
fn file(path: &Path, observation: &str, fill: &dyn Fn(&mut SerializedColumnWriter)) {
    file_of_pages(path, ROWS, observation, fill);
}

/// The same, with so many rows in a page.
fn file_of_pages(path: &Path, rows: usize, observation: &str, fill: &dyn Fn(&mut SerializedColumnWriter)) {
    let schema = format!(
        "message step {{ required int32 task_id; required int32 history_id; required int64 episode; \
         required int32 step (UINT_32); required int32 action (INT_8); required float reward; required boolean done; \
         {observation} }}"
    );
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let properties = WriterProperties::builder().set_data_page_row_count_limit(rows).set_write_batch_size(1);
    let properties = Arc::new(properties.build());
    let mut file = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
    let mut group = file.next_row_group().unwrap();
    let mut number = 0;
    while let Some(mut column) = group.next_column().unwrap() {
        match number {
            0 | 1 => values::<Int32Type>(&mut column, &[0; ROWS]),
            2 => values::<Int64Type>(&mut column, &[0; ROWS]),
            3 => values::<Int32Type>(&mut column, &[0, 1, 2, 3]),
            4 => values::<Int32Type>(&mut column, &[0, 1, 0, 1]),
            5 => values::<FloatType>(&mut column, &[0.0; ROWS]),
            6 => values::<BoolType>(&mut column, &[false, false, false, true]),
            _ => fill(&mut column),
        }
        column.close().unwrap();
        number += 1;
    }
    group.close().unwrap();
    file.close().unwrap();
}

fn values<T: DataType>(column: &mut SerializedColumnWriter, values: &[T::T]) {
    column.typed::<T>().write_batch(values, None, None).unwrap();
}

/// Values with their levels: of the definition, and of the repetition.
fn levels<T: DataType>(column: &mut SerializedColumnWriter, values: &[T::T], levels: [&[i16]; 2]) {
    column.typed::<T>().write_batch(values, Some(levels[0]), Some(levels[1])).unwrap();
}

fn found(observation: &str, fill: &dyn Fn(&mut SerializedColumnWriter)) -> Result<Histories> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign.parquet");
    file(&path, observation, fill);
    let known = Foreign { held_out: Some(0), ..Foreign::default() };
    describe(&path, &known).map(|(_, all)| all)
}

fn integers(column: &mut SerializedColumnWriter) {
    values::<Int32Type>(column, &[0, 1, 2, 3]);
}

fn texts(column: &mut SerializedColumnWriter) {
    values::<ByteArrayType>(column, &vec![ByteArray::from("some"); ROWS]);
}

#[test]
fn what_is_no_number_list_or_picture_is_refused_by_its_type() {
    let longs = |column: &mut SerializedColumnWriter| values::<Int64Type>(column, &[1; ROWS]);
    let floats = |column: &mut SerializedColumnWriter| values::<DoubleType>(column, &[f64::NAN; ROWS]);
    let float_lists = |column: &mut SerializedColumnWriter| {
        levels::<DoubleType>(column, &[0.5; ROWS], [&[1; ROWS], &[0; ROWS]]);
    };
    let lists = |column: &mut SerializedColumnWriter| {
        levels::<Int32Type>(column, &[1; ROWS], [&[1; ROWS], &[0; ROWS]]);
    };
    let nested = |column: &mut SerializedColumnWriter| {
        levels::<Int32Type>(column, &[1; ROWS], [&[2; ROWS], &[0; ROWS]]);
    };
    type Case<'a> = (&'a str, &'a dyn Fn(&mut SerializedColumnWriter), &'a str);
    let cases: [Case; 11] = [
        ("required binary NAME (UTF8);", &texts, "type BYTE_ARRAY (UTF8)"),
        ("required binary NAME (JSON);", &texts, "type BYTE_ARRAY (JSON)"),
        ("required int64 NAME (TIMESTAMP_MILLIS);", &longs, "type INT64 (TIMESTAMP_MILLIS)"),
        ("required int32 NAME (DECIMAL(9, 2));", &integers, "type INT32 (DECIMAL)"),
        ("required double NAME;", &floats, "type DOUBLE"),
        ("required group NAME { required int32 x; required int32 y; }", &integers, "group of INT32, INT32"),
        ("required group NAME { required int32 x; }", &integers, "group of INT32"),
        (
            "required group NAME (MAP) { repeated group key_value { required int32 key; required int32 value; } }",
            &lists,
            "(MAP)",
        ),
        (
            "required group NAME (LIST) { repeated group list { required int32 x; required int32 y; } }",
            &lists,
            "(LIST)",
        ),
        ("required group NAME (LIST) { repeated group list { required double element; } }", &float_lists, "DOUBLE"),
        (
            "required group NAME (LIST) { repeated group list { required group element (LIST) { repeated group list \
             { required int32 element; } } } }",
            &nested,
            "(LIST)",
        ),
    ];
    for (observation, fill, kind) in cases {
        let problem = found(&observation.replace("NAME", "observation_0"), fill).unwrap_err().to_string();
        let expected = "expected an integer, a list of integers, or bytes";
        let named = "foreign.parquet: column observation_0 has type";
        assert!([named, kind, expected].iter().all(|part| problem.contains(part)), "{problem}");
    }
    // Columns that are no observations are looked at as closely.
    let problem = found("required int32 truncated;", &integers).unwrap_err().to_string();
    assert!(problem.contains("column truncated has type INT32, expected [BOOLEAN]"), "{problem}");
    let problem = found("optional int32 optimal_action (DATE);", &|column| {
        column.typed::<Int32Type>().write_batch(&[1; ROWS], Some(&[1; ROWS]), None).unwrap();
    });
    let problem = problem.unwrap_err().to_string();
    assert!(
        problem.contains("column optimal_action has type INT32 (DATE), expected [INT32, INT64]"),
        "{problem}"
    );
}

const LIST: &str = "optional group observation_0 (LIST) { repeated group list { optional int32 element; } }";

#[test]
fn lists_are_read_in_every_shape_and_refused_with_column_and_row() {
    // Levels: 3 is a number, 2 a null in a list, 1 an empty list, 0 no list.
    type Case<'a> = (&'a [i32], &'a [i16], &'a [i16], &'a str);
    let cases: [Case; 5] = [
        (&[1; 7], &[3, 3, 3, 3, 3, 2, 3, 3], &[0, 1, 0, 1, 0, 1, 0, 1], "has a null in the list of row 2"),
        (&[], &[2; 4], &[0; 4], "has a null in the list of row 0"),
        (&[1; 6], &[3, 3, 3, 3, 3, 3, 0], &[0, 1, 0, 1, 0, 1, 0], "has no value at row 3"),
        (
            &[1; 6],
            &[3, 3, 1, 3, 3, 3, 3],
            &[0, 1, 0, 0, 1, 0, 1],
            "has a list of 0 in row 1 of its row group, expected 2",
        ),
        (
            &[1; 7],
            &[3; 7],
            &[0, 1, 0, 1, 0, 0, 1],
            "has a list of 1 in row 2 of its row group, expected 2 in all",
        ),
    ];
    for (numbers, definition, repetition, expected) in cases {
        let read = found(LIST, &|column| levels::<Int32Type>(column, numbers, [definition, repetition]));
        let problem = read.unwrap_err().to_string();
        assert!(problem.contains(&format!("column observation_0 {expected}")), "{problem}");
    }
    let numbers: Vec<i32> = (0..8).collect();
    let repetition = [0, 1, 0, 1, 0, 1, 0, 1];
    let shapes = [
        (LIST, 3),
        ("required group observation_0 (LIST) { repeated group list { required int32 element; } }", 1),
        ("optional group observation_0 (LIST) { repeated int32 array; }", 2),
        ("repeated int32 observation_0;", 1),
    ];
    for (observation, level) in shapes {
        let fill = |column: &mut SerializedColumnWriter| {
            levels::<Int32Type>(column, &numbers, [&[level; 8], &repetition]);
        };
        let all = found(observation, &fill).unwrap();
        assert_eq!(all.steps.observations, [[0, 2, 4, 6], [1, 3, 5, 7]]);
    }
}

#[test]
fn integers_without_a_sign_are_read_as_such() {
    let all = found("required int32 observation_0 (UINT_32);", &integers).unwrap();
    assert_eq!(all.steps.observations, [[0, 1, 2, 3]]);
    let large = |column: &mut SerializedColumnWriter| values::<Int32Type>(column, &[0, -1, 2, 3]);
    let problem = found("required int32 observation_0 (UINT_32);", &large).unwrap_err().to_string();
    assert!(problem.contains("column observation_0 has 4294967295 in row 1"), "{problem}");
    let problem = found("required int32 observation_0;", &large).unwrap_err().to_string();
    assert!(problem.contains("observation_0 has values from -1 to 3"), "{problem}");
    let longs = |column: &mut SerializedColumnWriter| values::<Int64Type>(column, &[0, 1, -1, 3]);
    let problem = found("required int64 observation_0 (UINT_64);", &longs).unwrap_err().to_string();
    assert!(problem.contains("in row 2 of its row group, expected a 32-bit integer"), "{problem}");
}

#[test]
fn what_is_wider_than_a_model_can_see_is_refused_at_the_first_row() {
    let list = |width: usize| {
        let repetition: Vec<i16> = (0..ROWS * width).map(|place| i16::from(place % width > 0)).collect();
        found("repeated int32 observation_0;", &|column| {
            let all = vec![7; ROWS * width];
            levels::<Int32Type>(column, &all, [&vec![1; ROWS * width], &repetition]);
        })
    };
    assert_eq!(list(64).unwrap().steps.observations.len(), 64);
    let problem = list(65).unwrap_err().to_string();
    assert!(
        problem
            .contains("column observation_0 has a list of 65 in row 0 of its row group, expected at most 64"),
        "{problem}"
    );
    // A page that says it has more than any lists may.
    let problem = list(1 << 19).unwrap_err().to_string();
    assert!(problem.contains("column observation_0 ") && problem.contains("at most 64"), "{problem}");
    let picture = |bytes: usize| {
        found("required binary observation_0;", &|column| {
            values::<ByteArrayType>(column, &vec![ByteArray::from(vec![1; bytes]); ROWS]);
        })
    };
    // What is missing is its shape.
    assert!(picture(4096).unwrap_err().to_string().contains("which has 4096 bytes a row"));
    let problem = picture(4097).unwrap_err().to_string();
    assert!(
        problem.contains("column observation_0 has 4097 bytes in row 0 of its row group, expected a picture of at most 4096"),
        "{problem}"
    );
    let other = found("required binary observation_0;", &|column| {
        let rows = [3, 3, 2, 3].map(|bytes| ByteArray::from(vec![1; bytes]));
        values::<ByteArrayType>(column, &rows);
    });
    let problem = other.unwrap_err().to_string();
    assert!(
        problem.contains("another number of bytes, 2, in row 2 of its row group, expected 3 in all"),
        "{problem}"
    );
}

#[test]
fn lists_are_read_whatever_the_pages_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign.parquet");
    for rows in 1..=ROWS {
        let list = "required group observation_0 (LIST) { repeated group list { required int32 element; } }";
        file_of_pages(&path, rows, list, &|column| {
            let numbers: Vec<i32> = (0..3 * ROWS as i32).collect();
            levels::<Int32Type>(column, &numbers, [&[1; 3 * ROWS], &[0, 1, 1].repeat(ROWS)]);
        });
        let known = Foreign { held_out: Some(0), ..Foreign::default() };
        let steps = describe(&path, &known).unwrap().1.steps;
        assert_eq!(steps.observations, [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]], "{rows}");
    }
}

#[test]
fn row_groups_have_room_for_so_many_bytes() {
    use crate::history::columns::row_group_steps;
    // As it was before observations could be wide.
    for words in 0..=8 {
        let expected = [(100, 1 << 16), (10 << 20, (10 << 20) / 16), (1 << 30, 1 << 20)];
        assert!(expected.iter().all(|(steps, group)| row_group_steps(*steps, words) == *group));
    }
    let bytes = |words: usize| row_group_steps(1 << 30, words) * 4 * words as u64;
    assert!([96, 1088].iter().all(|&words| (60 << 20..=64 << 20).contains(&bytes(words))));
}
