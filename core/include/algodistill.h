/*
 * Algorithm Distillation on devices: the C API of algodistill. docs/c-api.md says how to link it.
 * Generated from core/src/capi.rs: do not edit.
 */

#ifndef ALGODISTILL_H
#define ALGODISTILL_H

#include <stddef.h>
#include <stdint.h>

// Bytes of an agent.
#define AD_AGENT_SIZE sizeof(ad_agent)

// Bytes of a log.
#define AD_LOG_SIZE sizeof(ad_log)

#define AD_LARGER(a, b) ((a) > (b) ? (a) : (b))
#define AD_SLOTS(window) (((window) + 3) / 4 * 4)

// Words of 32 bits of the workspace of a model with these dimensions, a constant: `static uint32_t workspace[AD_WORKSPACE_WORDS(...)];`.
// A model too big for the chip then fails to link. The dimensions are printed by `algodistill inspect` and examples/c/embed.
#define AD_WORKSPACE_WORDS(layers, d_model, heads, d_ff, window, actions, final_words, kv_heads)                    \
    ((layers) * (kv_heads) * AD_SLOTS(window) * ((d_model) / (heads) + 2) / 2                                         \
     + 2 * (d_model) + AD_LARGER((d_model) + 2 * (kv_heads) * ((d_model) / (heads)), d_ff) + (actions) + (final_words) \
     + AD_SLOTS(window) / 2 + 3 * AD_LARGER(d_model, d_ff) / 4)

// The same of a model with encoders of numbers or pictures: their most columns, and their hidden units.
#define AD_WORKSPACE_WORDS_ENCODERS(layers, d_model, heads, d_ff, window, actions, final_words, kv_heads, columns, pixels, vector) \
    (AD_WORKSPACE_WORDS(layers, d_model, heads, AD_WIDEST(d_ff, pixels, vector), window, actions, final_words, kv_heads)          \
     + 3 * (AD_WIDEST(AD_WIDEST(d_ff, pixels, vector), d_model, columns)                                              \
            - AD_WIDEST(AD_WIDEST(d_ff, pixels, vector), d_model, 0)) / 4)
#define AD_WIDEST(a, b, c) AD_LARGER(a, AD_LARGER(b, c))

// Temperature that stands for the first action with the largest logit.
#define AD_GREEDY 0.0

// Pointer-sized words of an agent.
#define AD_AGENT_WORDS 128

// Words of 64 bits of a log.
#define AD_LOG_WORDS 40

// How a step left its episode (`ad_log_fed_back`): it goes on.
#define AD_GOES_ON 0

// It ended, by the environment itself or cut off: which of them is not known.
#define AD_ENDED 1

// It was ended by the environment itself.
#define AD_TERMINATED 2

// It was cut off, by a time limit or a reset.
#define AD_CUT_OFF 3

// What a call answers. Everything but `AD_STATUS_OK` means that nothing was done, unless the call
// says otherwise.
enum ad_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Done.
  AD_STATUS_OK = 0,
  // A pointer is null.
  AD_STATUS_NULL = 1,
  // A pointer is not aligned for what it points to.
  AD_STATUS_MISALIGNED = 2,
  // A buffer does not fit the address space.
  AD_STATUS_BUFFER = 3,
  // Buffers overlap each other, the agent, its workspace or its weights, or the log or the name that
  // it refers to.
  AD_STATUS_OVERLAP = 4,
  // The memory for the agent is shorter than `AD_AGENT_SIZE`.
  AD_STATUS_AGENT_MEMORY = 5,
  // Not an agent: never initialised, destroyed, or copied to another address.
  AD_STATUS_AGENT = 6,
  // The state of the random number generator is all zeros: never initialised.
  AD_STATUS_RNG = 7,
  // The buffer for the logits is shorter than the number of actions.
  AD_STATUS_LOGITS_LENGTH = 8,
  // The memory for the log is shorter than `AD_LOG_SIZE`.
  AD_STATUS_LOG_MEMORY = 9,
  // Not a log: never initialised, copied to another address, or its sink is at work in another call.
  AD_STATUS_LOG = 10,
  // The name of the environment is not UTF-8.
  AD_STATUS_ENVIRONMENT_NAME = 11,
  // `end` is none of `AD_GOES_ON`, `AD_ENDED`, `AD_TERMINATED` and `AD_CUT_OFF`.
  AD_STATUS_END = 12,
  // The bytes end before the header or before what the header announces.
  AD_STATUS_TRUNCATED = 16,
  // The bytes do not start with the magic of this kind of file.
  AD_STATUS_MAGIC = 17,
  // The format version is not one this build reads.
  AD_STATUS_VERSION = 18,
  // The length in the header is not the number of bytes given.
  AD_STATUS_LENGTH = 19,
  // The CRC-32 does not match: a byte was changed.
  AD_STATUS_CHECKSUM = 20,
  // A dimension in the header is out of its limits.
  AD_STATUS_DIMENSION = 21,
  // The metadata cannot be decoded or breaks a limit.
  AD_STATUS_METADATA = 22,
  // Reserved or padding bytes are not zero, or bytes are left over.
  AD_STATUS_LEFTOVER = 23,
  // The workspace is too small for the model.
  AD_STATUS_WORKSPACE = 24,
  // The buffer for a snapshot is too small, or the snapshot's length is not the model's.
  AD_STATUS_SNAPSHOT_LENGTH = 25,
  // The snapshot was taken with another model: `ad_snapshot_model` says with which.
  AD_STATUS_SNAPSHOT_MODEL = 26,
  // The snapshot's counters contradict the model.
  AD_STATUS_SNAPSHOT_STATE = 27,
  // The observation does not have as many words as the model expects.
  AD_STATUS_OBSERVATION_LENGTH = 28,
  // A word of the observation is out of its channel's range.
  AD_STATUS_OBSERVATION = 29,
  // The action is not one of the model's.
  AD_STATUS_ACTION = 30,
  // An action was asked for, or logged, before the feedback of the one before.
  AD_STATUS_FEEDBACK_MISSING = 31,
  // Feedback was given before an action.
  AD_STATUS_FEEDBACK_UNEXPECTED = 32,
  // The reward is NaN, or, where it is to be logged, infinite.
  AD_STATUS_REWARD = 33,
  // The temperature is neither `AD_GREEDY` nor a number between 0.01 and 100.
  AD_STATUS_TEMPERATURE = 34,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum ad_status ad_status;
#else
typedef int32_t ad_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What the caller must know about a model.
typedef struct ad_model_info {
  // Words of an observation; 0 where there is nothing to observe.
  size_t observation_words;
  // Words of a final observation (`ad_agent_feedback`) that the model looks at: those of an
  // observation, or 0.
  size_t final_observation_words;
  // Number of actions, hence of logits.
  size_t actions;
  // Bytes of a snapshot.
  size_t snapshot_bytes;
  // Words of 32 bits of the workspace.
  size_t workspace_words;
  // int8 parameters.
  size_t parameters;
  // Version of the weights format that the file is written in.
  uint32_t format_version;
  // CRC-32 of the weights file, its card included: tells one model from another, and is what
  // snapshots name. No signature.
  uint32_t crc32;
  // CRC-32 of channels and actions: the same for all models that fit the same sensors and
  // actuators.
  uint32_t interface_crc32;
  // Name of the environment that the model was trained in: UTF-8 within the weights file, without a
  // zero at its end. Null where its card names none.
  const char *environment;
  // Bytes of that name.
  size_t environment_length;
} ad_model_info;

// State of the random number generator (xoshiro128++), kept by the caller. Save it beside a
// snapshot to continue with identical actions.
typedef struct ad_rng {
  // Never all zeros once initialised.
  uint32_t state[4];
} ad_rng;

// Memory of an agent: `static ad_agent agent;` has the right size and alignment. Not to be copied
// or moved while it is an agent.
typedef struct ad_agent {
  // Not for the caller.
  size_t opaque[AD_AGENT_WORDS];
} ad_agent;

// Memory of a log: `static ad_log log;` has the right size and alignment. Not to be copied or moved
// while it is a log.
typedef struct ad_log {
  // Not for the caller. Not pointers: a seed of 64 bits lies in it.
  uint64_t opaque[AD_LOG_WORDS];
} ad_log;

// What a log is of, and where it begins. As zeros: nothing is known, and the run begins.
typedef struct ad_log_about {
  // Name of the environment, of a preset of `algodistill list` where it is one; null where it is not
  // known. UTF-8; a zero at its end is not needed. Of more than 32 bytes the front is written, up to
  // the end of a letter. The bytes stay where they are and as they are as long as the log is in use;
  // those of `ad_model_info` will do.
  const char *environment;
  // Bytes of that name.
  size_t environment_length;
  // Seed of all that is random.
  uint64_t seed;
  // Not 0 where the seed is known.
  int32_t seed_known;
  // Number of the task.
  uint32_t task;
  // Not 0 where the task is known.
  int32_t task_known;
  // Number that tells devices or runs apart.
  uint32_t device;
  // Number of the episode with which the log begins: 0, or after a restart what `ad_log_position`
  // gave when the snapshot was taken that the agent was restored from.
  uint32_t episode;
  // Number of the first step within that episode, likewise.
  uint32_t step;
} ad_log_about;

// Takes the next `len` bytes of a log: a UART, a file. `context` is that of `ad_log_init`. The bytes
// are the sink's until it returns, which it must do; it does not write to the observation of the call.
// A sink has no way to fail: what it loses, a reader finds missing, and reads on. Calls of its own log
// are refused while it is at work, and `ad_log_init` has no effect on it then.
typedef void (*ad_log_sink)(void *context, const uint8_t *bytes, size_t len);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Text of a status, for a log. Never null.
const char *ad_status_text(int32_t status);

// Bytes of an agent in this library, for callers that cannot use `sizeof(ad_agent)`.
size_t ad_agent_size(void);

// Bytes of a log in this library, for callers that cannot use `sizeof(ad_log)`.
size_t ad_log_size(void);

// Writes the number of 32-bit words of the workspace of a model to `words`. Reads the fixed header
// of the weights file only (64 bytes); `AD_WORKSPACE_WORDS` is the same number at compile time.
//
// # Safety
// `weights` points to `weights_len` bytes, `words` to one word.
ad_status ad_workspace_words(const uint8_t *weights, size_t weights_len, size_t *words);

// Validates a weights file as `ad_agent_init` does, and writes what its model is to `info`: for a
// new model that is to replace the one at work. No agent is touched, and no workspace is needed.
//
// # Safety
// The pointers are null or point to as much memory as the length says, and to their type.
ad_status ad_weights_info(const uint8_t *weights, size_t weights_len, struct ad_model_info *info);

// Seeds a generator. Different streams of one seed are independent.
//
// # Safety
// `rng` points to an `ad_rng`.
ad_status ad_rng_init(struct ad_rng *rng, uint64_t seed, uint64_t stream);

// Draws a number in `0..bound`, all equally likely; 0 where `bound` is 0.
//
// # Safety
// `rng` points to an `ad_rng`, `value` to one word.
ad_status ad_rng_below(struct ad_rng *rng, uint32_t bound, uint32_t *value);

// Draws a number in [0, 1), a multiple of 2^-24.
//
// # Safety
// `rng` points to an `ad_rng`, `value` to one float.
ad_status ad_rng_uniform(struct ad_rng *rng, float *value);

// Validates the weights and makes an agent with an empty context that samples at temperature 1.
//
// `agent_size` is `sizeof(ad_agent)`. `weights` are the bytes of an `.adw` file; they stay where
// they are (flash) and nothing is copied. `workspace` has at least `ad_workspace_words` words; its
// content does not matter. Both belong to the agent until `ad_agent_destroy`. An agent that
// already lies in the memory is replaced; where the weights or the workspace do not fit
// (`AD_STATUS_TRUNCATED` and above) there is none.
//
// # Safety
// The pointers are null or point to as much memory as the lengths say. No other agent uses the
// workspace.
ad_status ad_agent_init(struct ad_agent *agent,
                        size_t agent_size,
                        const uint8_t *weights,
                        size_t weights_len,
                        uint32_t *workspace,
                        size_t workspace_len);

// Ends the agent: its memory, its workspace and its weights are the caller's again.
//
// # Safety
// `agent` points to an `ad_agent`.
ad_status ad_agent_destroy(struct ad_agent *agent);

// Writes what the model of an agent is to `info`.
//
// # Safety
// The pointers are null or point to their types.
ad_status ad_agent_info(struct ad_agent *agent, struct ad_model_info *info);

// How actions are drawn: from softmax(logits / temperature), 0.01 to 100 (1 is what the model was
// trained for), or with `AD_GREEDY` the first action with the largest logit.
//
// # Safety
// `agent` points to an `ad_agent`.
ad_status ad_agent_set_sampling(struct ad_agent *agent, float temperature);

// Forgets the task: empties the context.
//
// # Safety
// `agent` points to an `ad_agent`.
ad_status ad_agent_reset(struct ad_agent *agent);

// One step: runs the observation (and the action and feedback before it) through the model, draws
// an action and writes it to `action`. `observation` may be null where the model observes nothing
// and `count` is 0.
//
// An observation is the words of its channels, one after the other. A picture is its bytes, four a
// word, the first in the lowest bits; the next channel begins with a word of its own, and bytes that
// are left over before it do not matter.
//
// # Safety
// The pointers are null or point to their types, `observation` to `count` words.
ad_status ad_agent_act(struct ad_agent *agent,
                       const int32_t *observation,
                       size_t count,
                       struct ad_rng *rng,
                       uint32_t *action);

// One step of a demonstration: as `ad_agent_act`, but the action is given.
//
// # Safety
// The pointers are null or point to their types, `observation` to `count` words.
ad_status ad_agent_demonstrate(struct ad_agent *agent,
                               const int32_t *observation,
                               size_t count,
                               uint32_t action);

// What the last action brought. `done` is not 0 where the episode ended: the next observation is
// that of a new one, the context is kept. `final_observation` is then what was observed after the
// last action, before the reset, `count` words; null and 0 where nothing was. It is not
// looked at where `done` is 0, so the caller may pass the same buffer in every step.
//
// # Safety
// The pointers are null or point to their types, `final_observation` to `count` words.
ad_status ad_agent_feedback(struct ad_agent *agent,
                            float reward,
                            int32_t done,
                            const int32_t *final_observation,
                            size_t count);

// Copies the logits of the last step, one per action, in units of 2^-16, to `logits`, which has
// room for `capacity` of them.
//
// # Safety
// The pointers are null or point to their types, `logits` to `capacity` words.
ad_status ad_agent_logits(struct ad_agent *agent, int32_t *logits, size_t capacity);

// Writes the context to the front of `bytes`, which has room for `capacity` bytes, and their
// number (`snapshot_bytes` of `ad_agent_info`) to `written`.
//
// # Safety
// The pointers are null or point to their types, `bytes` to `capacity` bytes that have been
// written before (a `static` buffer has).
ad_status ad_agent_snapshot(struct ad_agent *agent, uint8_t *bytes, size_t capacity, size_t *written);

// Restores a context written by `ad_agent_snapshot` with the same model. On an error the context
// is as before.
//
// # Safety
// The pointers are null or point to their types, `bytes` to `len` bytes.
ad_status ad_agent_restore(struct ad_agent *agent, const uint8_t *bytes, size_t len);

// Writes the CRC-32 of the weights file that a snapshot was taken with (`crc32` of `ad_model_info`)
// to `crc32`: which model one belongs to that `ad_agent_restore` refused. The snapshot is checked as
// far as can be told without its model.
//
// # Safety
// The pointers are null or point to their types, `bytes` to `len` bytes.
ad_status ad_snapshot_model(const uint8_t *bytes, size_t len, uint32_t *crc32);

// Makes a log of the steps of an agent, from its first one on, or as `about` says from where a
// snapshot was taken. `docs/steps-log.md` is its format; `algodistill histories import` makes learning
// histories of it.
//
// `log_size` is `sizeof(ad_log)`. The agent is asked for its model and not kept: it may be destroyed,
// and restored, while the log goes on. Nothing is written yet: the first `ad_log_acted` writes the
// header. A log needs no end, and one that already lies in the memory is replaced; where the call is
// refused it is as before.
//
// # Safety
// The pointers are null or point to their types, and `environment` of `about` to as many bytes as it
// says; nothing writes to these as long as the log is in use. `sink` may be called with `context` by
// any later call.
ad_status ad_log_init(struct ad_log *log,
                      size_t log_size,
                      struct ad_agent *agent,
                      const struct ad_log_about *about,
                      ad_log_sink sink,
                      void *context);

// Writes the first half of a step: what `ad_agent_act` was given, and the action that it drew.
//
// # Safety
// The pointers are null or point to their types, `observation` to `count` words.
ad_status ad_log_acted(struct ad_log *log, const int32_t *observation, size_t count, uint32_t action);

// Writes the second half of a step: what `ad_agent_feedback` was given. `end` is one of `AD_GOES_ON`,
// `AD_ENDED`, `AD_TERMINATED` and `AD_CUT_OFF`, and may be given to `ad_agent_feedback` as `done`; of a
// device that knows no more than `done`, 0 and 1 are the first two. The final observation is not looked
// at where the episode goes on.
//
// # Safety
// The pointers are null or point to their types, `final_observation` to `count` words.
ad_status ad_log_fed_back(struct ad_log *log,
                          float reward,
                          int32_t end,
                          const int32_t *final_observation,
                          size_t count);

// Writes the number of the episode, and of the next step within it, to `episode` and `step`: what to
// keep beside a snapshot. To be asked between two steps.
//
// # Safety
// The pointers are null or point to their types.
ad_status ad_log_position(struct ad_log *log, uint32_t *episode, uint32_t *step);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ALGODISTILL_H */
