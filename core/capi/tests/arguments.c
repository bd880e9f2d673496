/* Every function of the C API with every wrong argument that it can tell: a status, never a crash, and nothing changed. The buffers come from
 * malloc in exactly the right size, so that valgrind sees a byte too many. Run by .ci/c-api. */
#include "dark_room.h"

#include "model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;

static void check(int line, ad_status expected, ad_status found) {
    if (expected != found) {
        failures++;
        printf("line %d: expected %d (%s), found %d (%s)\n", line, (int)expected, ad_status_text(expected), (int)found, ad_status_text(found));
    }
}

static void check_true(int line, int condition) {
    if (!condition) {
        failures++;
        printf("line %d: not true\n", line);
    }
}

#define CHECK(expected, call) check(__LINE__, AD_STATUS_##expected, call)
#define CHECK_TRUE(condition) check_true(__LINE__, condition)

/* `offset` bytes further, whatever that does to the alignment. */
static void *displaced(const void *pointer, uintptr_t offset) {
    return (void *)((uintptr_t)pointer + offset);
}

enum { SIZE = sizeof model, WORDS = MODEL_WORKSPACE_WORDS };

static const uint8_t *const weights = (const uint8_t *)model;
static const int32_t cell[DARK_ROOM_WORDS] = {4, 4};
static ad_agent agent;
static ad_rng rng;
static uint32_t *workspace;

static void *allocate(size_t bytes) {
    void *memory = calloc(1, bytes);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static void fresh_agent(void) {
    CHECK(OK, ad_agent_init(&agent, sizeof agent, weights, SIZE, workspace, WORDS));
    CHECK(OK, ad_rng_init(&rng, 1, 2));
}

static void texts(void) {
    for (int32_t status = -1; status <= 100; status++) {
        CHECK_TRUE(strlen(ad_status_text(status)) > 3);
    }
    CHECK_TRUE(strcmp(ad_status_text(AD_STATUS_OK), "done") == 0);
    CHECK_TRUE(strcmp(ad_status_text(AD_STATUS_TEMPERATURE), ad_status_text(12345)) != 0);
}

static void sizes(void) {
    size_t words = 0;
    uint8_t *header = allocate(64);
    CHECK_TRUE(ad_agent_size() == AD_AGENT_SIZE);
    CHECK(OK, ad_workspace_words(weights, SIZE, &words));
    CHECK_TRUE(words == WORDS);
    CHECK(NULL, ad_workspace_words(NULL, SIZE, &words));
    CHECK(NULL, ad_workspace_words(NULL, 0, &words));
    CHECK(NULL, ad_workspace_words(weights, SIZE, NULL));
    CHECK(MISALIGNED, ad_workspace_words(weights, SIZE, displaced(&words, 1)));
    CHECK(BUFFER, ad_workspace_words(weights, SIZE_MAX, &words));
    CHECK(TRUNCATED, ad_workspace_words(weights, 0, &words));
    memcpy(header, weights, 64);
    CHECK(TRUNCATED, ad_workspace_words(header, 63, &words));
    CHECK(OK, ad_workspace_words(header, 64, &words));
    header[16] = 0;
    CHECK(DIMENSION, ad_workspace_words(header, 64, &words));
    free(header);
}

/* A model that nobody runs: no agent, no workspace. */
static void models(void) {
    ad_model_info info, other;
    uint8_t *copy = allocate(SIZE);
    memset(&info, 0, sizeof info);
    memcpy(copy, weights, SIZE);
    CHECK(NULL, ad_weights_info(NULL, SIZE, &info));
    CHECK(NULL, ad_weights_info(NULL, 0, &info));
    CHECK(NULL, ad_weights_info(weights, SIZE, NULL));
    CHECK(MISALIGNED, ad_weights_info(weights, SIZE, displaced(&info, 1)));
    CHECK(BUFFER, ad_weights_info(weights, SIZE_MAX, &info));
    CHECK(OVERLAP, ad_weights_info(copy, SIZE, (ad_model_info *)(void *)copy));
    CHECK(TRUNCATED, ad_weights_info(weights, SIZE - 1, &info));
    copy[SIZE - 1] ^= 1;
    CHECK(CHECKSUM, ad_weights_info(copy, SIZE, &info));
    CHECK_TRUE(info.crc32 == 0);
    CHECK(OK, ad_weights_info(weights, SIZE, &info));
    fresh_agent();
    CHECK(OK, ad_agent_info(&agent, &other));
    CHECK_TRUE(info.crc32 == other.crc32 && info.snapshot_bytes == other.snapshot_bytes && info.environment == other.environment);
    free(copy);
}

static void generators(void) {
    ad_rng zero = {{0, 0, 0, 0}};
    uint32_t value = 0;
    float uniform = -1.0f;
    CHECK(NULL, ad_rng_init(NULL, 0, 0));
    CHECK(MISALIGNED, ad_rng_init(displaced(&rng, 2), 0, 0));
    CHECK(OK, ad_rng_init(&rng, 0, 0));
    CHECK(NULL, ad_rng_below(NULL, 9, &value));
    CHECK(NULL, ad_rng_below(&rng, 9, NULL));
    CHECK(MISALIGNED, ad_rng_below(&rng, 9, displaced(&value, 1)));
    CHECK(MISALIGNED, ad_rng_below(displaced(&rng, 1), 9, &value));
    CHECK(RNG, ad_rng_below(&zero, 9, &value));
    CHECK(OVERLAP, ad_rng_below(&rng, 9, &rng.state[3]));
    CHECK(OK, ad_rng_below(&rng, 0, &value));
    CHECK_TRUE(value == 0);
    CHECK(OK, ad_rng_below(&rng, 9, &value));
    CHECK_TRUE(value < 9);
    CHECK(NULL, ad_rng_uniform(NULL, &uniform));
    CHECK(NULL, ad_rng_uniform(&rng, NULL));
    CHECK(MISALIGNED, ad_rng_uniform(&rng, displaced(&uniform, 2)));
    CHECK(RNG, ad_rng_uniform(&zero, &uniform));
    CHECK(OVERLAP, ad_rng_uniform(&rng, (float *)(void *)&rng.state[0]));
    CHECK(OK, ad_rng_uniform(&rng, &uniform));
    CHECK_TRUE(uniform >= 0.0f && uniform < 1.0f);
}

static void initialisation(void) {
    uint8_t *copy = allocate(SIZE);
    memcpy(copy, weights, SIZE);
    CHECK(NULL, ad_agent_init(NULL, sizeof agent, weights, SIZE, workspace, WORDS));
    CHECK(NULL, ad_agent_init(&agent, sizeof agent, NULL, SIZE, workspace, WORDS));
    CHECK(NULL, ad_agent_init(&agent, sizeof agent, NULL, 0, workspace, WORDS));
    CHECK(NULL, ad_agent_init(&agent, sizeof agent, weights, SIZE, NULL, WORDS));
    CHECK(NULL, ad_agent_init(&agent, sizeof agent, weights, SIZE, NULL, 0));
    CHECK(MISALIGNED, ad_agent_init(displaced(&agent, 1), sizeof agent, weights, SIZE, workspace, WORDS));
    CHECK(MISALIGNED, ad_agent_init(&agent, sizeof agent, weights, SIZE, displaced(workspace, 2), WORDS));
    CHECK(AGENT_MEMORY, ad_agent_init(&agent, sizeof agent - 1, weights, SIZE, workspace, WORDS));
    CHECK(AGENT_MEMORY, ad_agent_init(&agent, 0, weights, SIZE, workspace, WORDS));
    CHECK(BUFFER, ad_agent_init(&agent, sizeof agent, weights, SIZE_MAX, workspace, WORDS));
    CHECK(BUFFER, ad_agent_init(&agent, sizeof agent, weights, SIZE, workspace, SIZE_MAX));
    CHECK(BUFFER, ad_agent_init(&agent, sizeof agent, weights, SIZE, workspace, SIZE_MAX / 4));
    CHECK(OVERLAP, ad_agent_init(&agent, sizeof agent, weights, SIZE, (uint32_t *)&agent, WORDS));
    CHECK(OVERLAP, ad_agent_init(&agent, sizeof agent, (uint8_t *)workspace, 100, workspace, WORDS));
    CHECK(OVERLAP, ad_agent_init((ad_agent *)(void *)workspace, sizeof agent, weights, SIZE, workspace, WORDS));
    CHECK(WORKSPACE, ad_agent_init(&agent, sizeof agent, weights, SIZE, workspace, WORDS - 1));
    CHECK(WORKSPACE, ad_agent_init(&agent, sizeof agent, weights, SIZE, workspace, 0));
    CHECK(TRUNCATED, ad_agent_init(&agent, sizeof agent, weights, SIZE - 1, workspace, WORDS));
    CHECK(TRUNCATED, ad_agent_init(&agent, sizeof agent, weights, 0, workspace, WORDS));
    copy[0] ^= 1;
    CHECK(MAGIC, ad_agent_init(&agent, sizeof agent, copy, SIZE, workspace, WORDS));
    copy[0] ^= 1;
    copy[4] ^= 2;
    CHECK(VERSION, ad_agent_init(&agent, sizeof agent, copy, SIZE, workspace, WORDS));
    copy[4] ^= 2;
    copy[8] -= 1;
    CHECK(LENGTH, ad_agent_init(&agent, sizeof agent, copy, SIZE, workspace, WORDS));
    copy[8] += 1;
    copy[SIZE / 2] ^= 0x10;
    CHECK(CHECKSUM, ad_agent_init(&agent, sizeof agent, copy, SIZE, workspace, WORDS));
    free(copy);
    /* An agent that failed to start is none, even where there was one before. */
    fresh_agent();
    CHECK(TRUNCATED, ad_agent_init(&agent, sizeof agent, weights, 1, workspace, WORDS));
    CHECK(AGENT, ad_agent_reset(&agent));
}

/* All calls with one agent that is not one. */
static void not_an_agent(ad_status expected, ad_agent *wrong) {
    int32_t logits[DARK_ROOM_ACTIONS];
    ad_model_info info;
    uint8_t byte = 0;
    size_t written;
    uint32_t action;
    check(__LINE__, expected, ad_agent_destroy(wrong));
    check(__LINE__, expected, ad_agent_info(wrong, &info));
    check(__LINE__, expected, ad_agent_set_sampling(wrong, 1.0f));
    check(__LINE__, expected, ad_agent_reset(wrong));
    check(__LINE__, expected, ad_agent_act(wrong, cell, DARK_ROOM_WORDS, &rng, &action));
    check(__LINE__, expected, ad_agent_demonstrate(wrong, cell, DARK_ROOM_WORDS, 0));
    check(__LINE__, expected, ad_agent_feedback(wrong, 0.0f, 1, cell, DARK_ROOM_WORDS));
    check(__LINE__, expected, ad_agent_logits(wrong, logits, DARK_ROOM_ACTIONS));
    check(__LINE__, expected, ad_agent_snapshot(wrong, &byte, 1, &written));
    check(__LINE__, expected, ad_agent_restore(wrong, &byte, 1));
}

static void agents_that_are_none(void) {
    static ad_agent other;
    not_an_agent(AD_STATUS_NULL, NULL);
    not_an_agent(AD_STATUS_MISALIGNED, displaced(&other, 1));
    not_an_agent(AD_STATUS_AGENT, &other);
    memset(&other, 0xff, sizeof other);
    not_an_agent(AD_STATUS_AGENT, &other);
    fresh_agent();
    memcpy(&other, &agent, sizeof other);
    not_an_agent(AD_STATUS_AGENT, &other);
    CHECK(OK, ad_agent_destroy(&agent));
    not_an_agent(AD_STATUS_AGENT, &agent);
}

static void calls_of_an_agent(void) {
    int32_t logits[DARK_ROOM_ACTIONS];
    int32_t outside[DARK_ROOM_WORDS] = {0, DARK_ROOM_SIZE};
    ad_model_info info;
    ad_rng zero = {{0, 0, 0, 0}}, before;
    uint32_t action = 99;
    fresh_agent();

    CHECK(NULL, ad_agent_info(&agent, NULL));
    CHECK(MISALIGNED, ad_agent_info(&agent, displaced(&info, 1)));
    CHECK(OVERLAP, ad_agent_info(&agent, (ad_model_info *)(void *)&agent));
    CHECK(OVERLAP, ad_agent_info(&agent, (ad_model_info *)(void *)workspace));
    CHECK(OK, ad_agent_info(&agent, &info));
    CHECK_TRUE(info.observation_words == DARK_ROOM_WORDS && info.actions == DARK_ROOM_ACTIONS);
    CHECK_TRUE(info.final_observation_words == 0 || info.final_observation_words == DARK_ROOM_WORDS);
    CHECK_TRUE(info.workspace_words == WORDS && info.parameters > 0 && info.crc32 == model[3]);
    CHECK_TRUE(info.format_version == (model[1] & 0xffff) && info.interface_crc32 == 0xd8582efd);
    CHECK_TRUE(info.environment_length == strlen("dark-room"));
    CHECK_TRUE(info.environment != NULL && memcmp(info.environment, "dark-room", info.environment_length) == 0);

    CHECK(TEMPERATURE, ad_agent_set_sampling(&agent, -1.0f));
    CHECK(TEMPERATURE, ad_agent_set_sampling(&agent, 1e9f));
    CHECK(TEMPERATURE, ad_agent_set_sampling(&agent, NAN));
    CHECK(OK, ad_agent_set_sampling(&agent, AD_GREEDY));
    CHECK(OK, ad_agent_set_sampling(&agent, 1.0f));

    before = rng;
    CHECK(FEEDBACK_UNEXPECTED, ad_agent_feedback(&agent, 0.0f, 0, NULL, 0));
    CHECK(NULL, ad_agent_act(&agent, NULL, DARK_ROOM_WORDS, &rng, &action));
    CHECK(NULL, ad_agent_act(&agent, cell, DARK_ROOM_WORDS, NULL, &action));
    CHECK(NULL, ad_agent_act(&agent, cell, DARK_ROOM_WORDS, &rng, NULL));
    CHECK(MISALIGNED, ad_agent_act(&agent, displaced(cell, 1), DARK_ROOM_WORDS, &rng, &action));
    CHECK(MISALIGNED, ad_agent_act(&agent, cell, DARK_ROOM_WORDS, displaced(&rng, 1), &action));
    CHECK(MISALIGNED, ad_agent_act(&agent, cell, DARK_ROOM_WORDS, &rng, displaced(&action, 1)));
    CHECK(BUFFER, ad_agent_act(&agent, cell, SIZE_MAX, &rng, &action));
    CHECK(RNG, ad_agent_act(&agent, cell, DARK_ROOM_WORDS, &zero, &action));
    CHECK(OVERLAP, ad_agent_act(&agent, cell, DARK_ROOM_WORDS, &rng, &rng.state[1]));
    CHECK(OVERLAP, ad_agent_act(&agent, cell, DARK_ROOM_WORDS, &rng, workspace + WORDS - 1));
    CHECK(OVERLAP, ad_agent_act(&agent, (int32_t *)(void *)&agent, DARK_ROOM_WORDS, &rng, &action));
    CHECK(OBSERVATION_LENGTH, ad_agent_act(&agent, NULL, 0, &rng, &action));
    CHECK(OBSERVATION_LENGTH, ad_agent_act(&agent, cell, 1, &rng, &action));
    CHECK(OBSERVATION, ad_agent_act(&agent, outside, DARK_ROOM_WORDS, &rng, &action));
    CHECK_TRUE(action == 99 && memcmp(&before, &rng, sizeof rng) == 0);
    CHECK(OK, ad_agent_act(&agent, cell, DARK_ROOM_WORDS, &rng, &action));
    CHECK_TRUE(action < DARK_ROOM_ACTIONS && memcmp(&before, &rng, sizeof rng) != 0);
    CHECK(FEEDBACK_MISSING, ad_agent_act(&agent, cell, DARK_ROOM_WORDS, &rng, &action));
    CHECK(FEEDBACK_MISSING, ad_agent_demonstrate(&agent, cell, DARK_ROOM_WORDS, 0));
    CHECK(REWARD, ad_agent_feedback(&agent, NAN, 0, NULL, 0));
    CHECK(NULL, ad_agent_feedback(&agent, 1.0f, 1, NULL, DARK_ROOM_WORDS));
    CHECK(MISALIGNED, ad_agent_feedback(&agent, 1.0f, 1, displaced(cell, 1), DARK_ROOM_WORDS));
    CHECK(BUFFER, ad_agent_feedback(&agent, 1.0f, 1, cell, SIZE_MAX));
    CHECK(OVERLAP, ad_agent_feedback(&agent, 1.0f, 1, (int32_t *)workspace, DARK_ROOM_WORDS));
    CHECK(OBSERVATION_LENGTH, ad_agent_feedback(&agent, 1.0f, 1, cell, 1));
    CHECK(OBSERVATION, ad_agent_feedback(&agent, 1.0f, 1, outside, DARK_ROOM_WORDS));
    CHECK(OK, ad_agent_feedback(&agent, 1.0f, 0, outside, 1));
    CHECK(FEEDBACK_UNEXPECTED, ad_agent_feedback(&agent, 1.0f, 0, NULL, 0));
    CHECK(OK, ad_agent_demonstrate(&agent, cell, DARK_ROOM_WORDS, 0));
    CHECK(OK, ad_agent_feedback(&agent, 1.0f, 1, NULL, 0));
    CHECK(OK, ad_agent_demonstrate(&agent, cell, DARK_ROOM_WORDS, 0));
    CHECK(OK, ad_agent_feedback(&agent, 1.0f, 1, cell, DARK_ROOM_WORDS));

    CHECK(NULL, ad_agent_demonstrate(&agent, NULL, DARK_ROOM_WORDS, 0));
    CHECK(MISALIGNED, ad_agent_demonstrate(&agent, displaced(cell, 3), DARK_ROOM_WORDS, 0));
    CHECK(BUFFER, ad_agent_demonstrate(&agent, cell, SIZE_MAX / 2, 0));
    CHECK(OVERLAP, ad_agent_demonstrate(&agent, (int32_t *)workspace, DARK_ROOM_WORDS, 0));
    CHECK(OBSERVATION_LENGTH, ad_agent_demonstrate(&agent, cell, 1, 0));
    CHECK(OBSERVATION, ad_agent_demonstrate(&agent, outside, DARK_ROOM_WORDS, 0));
    CHECK(ACTION, ad_agent_demonstrate(&agent, cell, DARK_ROOM_WORDS, DARK_ROOM_ACTIONS));
    CHECK(ACTION, ad_agent_demonstrate(&agent, cell, DARK_ROOM_WORDS, UINT32_MAX));
    CHECK(OK, ad_agent_demonstrate(&agent, cell, DARK_ROOM_WORDS, DARK_ROOM_ACTIONS - 1));

    CHECK(NULL, ad_agent_logits(&agent, NULL, DARK_ROOM_ACTIONS));
    CHECK(NULL, ad_agent_logits(&agent, NULL, 0));
    CHECK(MISALIGNED, ad_agent_logits(&agent, displaced(logits, 2), DARK_ROOM_ACTIONS));
    CHECK(LOGITS_LENGTH, ad_agent_logits(&agent, logits, DARK_ROOM_ACTIONS - 1));
    CHECK(LOGITS_LENGTH, ad_agent_logits(&agent, logits, 0));
    CHECK(OVERLAP, ad_agent_logits(&agent, (int32_t *)workspace, DARK_ROOM_ACTIONS));
    CHECK(OK, ad_agent_logits(&agent, logits, DARK_ROOM_ACTIONS));
    CHECK(OK, ad_agent_reset(&agent));
    CHECK(FEEDBACK_UNEXPECTED, ad_agent_feedback(&agent, 1.0f, 0, NULL, 0));
}

/* One step of an agent that stays in one cell. */
static uint32_t step(void) {
    uint32_t action = 0;
    CHECK(OK, ad_agent_act(&agent, cell, DARK_ROOM_WORDS, &rng, &action));
    CHECK(OK, ad_agent_feedback(&agent, action == 0 ? 1.0f : 0.0f, action == 1, cell, DARK_ROOM_WORDS));
    return action;
}

static void snapshots(void) {
    enum { STEPS = 30 };
    ad_model_info info;
    ad_rng saved;
    uint8_t *bytes;
    size_t written = 0;
    uint32_t actions[STEPS], crc32 = 0;
    fresh_agent();
    CHECK(OK, ad_agent_info(&agent, &info));
    bytes = allocate(info.snapshot_bytes);
    for (int index = 0; index < STEPS; index++) {
        step();
    }
    CHECK(NULL, ad_agent_snapshot(&agent, NULL, info.snapshot_bytes, &written));
    CHECK(NULL, ad_agent_snapshot(&agent, NULL, 0, &written));
    CHECK(NULL, ad_agent_snapshot(&agent, bytes, info.snapshot_bytes, NULL));
    CHECK(MISALIGNED, ad_agent_snapshot(&agent, bytes, info.snapshot_bytes, displaced(&written, 1)));
    CHECK(BUFFER, ad_agent_snapshot(&agent, bytes, SIZE_MAX, &written));
    CHECK(OVERLAP, ad_agent_snapshot(&agent, (uint8_t *)workspace, info.snapshot_bytes, &written));
    CHECK(OVERLAP, ad_agent_snapshot(&agent, bytes, info.snapshot_bytes, (size_t *)(void *)bytes));
    CHECK(SNAPSHOT_LENGTH, ad_agent_snapshot(&agent, bytes, info.snapshot_bytes - 1, &written));
    CHECK(SNAPSHOT_LENGTH, ad_agent_snapshot(&agent, bytes, 0, &written));
    CHECK_TRUE(written == 0);
    CHECK(OK, ad_agent_snapshot(&agent, bytes, info.snapshot_bytes, &written));
    CHECK_TRUE(written == info.snapshot_bytes);
    CHECK(NULL, ad_snapshot_model(NULL, written, &crc32));
    CHECK(NULL, ad_snapshot_model(NULL, 0, &crc32));
    CHECK(NULL, ad_snapshot_model(bytes, written, NULL));
    CHECK(MISALIGNED, ad_snapshot_model(bytes, written, displaced(&crc32, 1)));
    CHECK(BUFFER, ad_snapshot_model(bytes, SIZE_MAX, &crc32));
    CHECK(OVERLAP, ad_snapshot_model(bytes, written, (uint32_t *)(void *)bytes));
    CHECK(TRUNCATED, ad_snapshot_model(bytes, written - 1, &crc32));
    CHECK_TRUE(crc32 == 0);
    CHECK(OK, ad_snapshot_model(bytes, written, &crc32));
    CHECK_TRUE(crc32 == info.crc32);

    /* A power cut: the workspace is lost, the snapshot and the generator's state are not. */
    saved = rng;
    for (int index = 0; index < STEPS; index++) {
        actions[index] = step();
    }
    CHECK(OK, ad_agent_destroy(&agent));
    memset(workspace, 0xaa, WORDS * sizeof *workspace);
    fresh_agent();
    rng = saved;
    CHECK(OK, ad_agent_restore(&agent, bytes, written));

    CHECK(NULL, ad_agent_restore(&agent, NULL, written));
    CHECK(NULL, ad_agent_restore(&agent, NULL, 0));
    CHECK(BUFFER, ad_agent_restore(&agent, bytes, SIZE_MAX));
    CHECK(OVERLAP, ad_agent_restore(&agent, (uint8_t *)workspace, written));
    CHECK(TRUNCATED, ad_agent_restore(&agent, bytes, 0));
    CHECK(TRUNCATED, ad_agent_restore(&agent, bytes, written - 1));
    bytes[written - 1] ^= 1;
    CHECK(CHECKSUM, ad_agent_restore(&agent, bytes, written));
    bytes[0] ^= 1;
    CHECK(MAGIC, ad_agent_restore(&agent, bytes, written));
    /* The refused snapshots have changed nothing. */
    for (int index = 0; index < STEPS; index++) {
        CHECK_TRUE(actions[index] == step());
    }
    CHECK(OK, ad_agent_destroy(&agent));
    free(bytes);
}

/* A sink that counts. */
static void count_bytes(void *context, const uint8_t *bytes, size_t length) {
    CHECK_TRUE(bytes != NULL && length > 0);
    *(size_t *)context += length;
}

/* All calls with a log that is none. */
static void not_a_log(ad_status expected, ad_log *wrong) {
    uint32_t episode = 5, at = 6;
    check(__LINE__, expected, ad_log_acted(wrong, cell, DARK_ROOM_WORDS, 0));
    check(__LINE__, expected, ad_log_fed_back(wrong, 0.0f, AD_GOES_ON, NULL, 0));
    check(__LINE__, expected, ad_log_position(wrong, &episode, &at));
    CHECK_TRUE(episode == 5 && at == 6);
}

static void logs_that_are_none(ad_log *log) {
    static ad_log other;
    not_a_log(AD_STATUS_NULL, NULL);
    not_a_log(AD_STATUS_MISALIGNED, displaced(&other, 1));
    not_a_log(AD_STATUS_LOG, &other);
    memset(&other, 0xff, sizeof other);
    not_a_log(AD_STATUS_LOG, &other);
    memcpy(&other, log, sizeof other);
    not_a_log(AD_STATUS_LOG, &other);
    /* An agent is no log, and a log no agent. */
    not_a_log(AD_STATUS_LOG, (ad_log *)(void *)&agent);
    CHECK(AGENT, ad_agent_reset((ad_agent *)(void *)log));
}

static void logs(void) {
    enum { NAME = 5 };
    static ad_agent none;
    ad_log *log = allocate(AD_LOG_SIZE);
    int32_t outside[DARK_ROOM_WORDS] = {0, DARK_ROOM_SIZE};
    char *name = allocate(NAME);
    size_t count = 0, written;
    uint32_t episode = 7, at = 8;
    ad_log_about about = {0}, wrong;
    fresh_agent();
    CHECK_TRUE(ad_log_size() == AD_LOG_SIZE);
    memcpy(name, "m\xc3\xbchl", NAME);
    about.environment = name;
    about.environment_length = NAME;

    CHECK(NULL, ad_log_init(NULL, sizeof *log, &agent, &about, count_bytes, &count));
    CHECK(NULL, ad_log_init(log, sizeof *log, NULL, &about, count_bytes, &count));
    CHECK(NULL, ad_log_init(log, sizeof *log, &agent, NULL, count_bytes, &count));
    CHECK(NULL, ad_log_init(log, sizeof *log, &agent, &about, NULL, &count));
    CHECK(MISALIGNED, ad_log_init(displaced(log, 4), sizeof *log, &agent, &about, count_bytes, &count));
    CHECK(MISALIGNED, ad_log_init(log, sizeof *log, displaced(&agent, 1), &about, count_bytes, &count));
    CHECK(MISALIGNED, ad_log_init(log, sizeof *log, &agent, displaced(&about, 1), count_bytes, &count));
    CHECK(LOG_MEMORY, ad_log_init(log, sizeof *log - 1, &agent, &about, count_bytes, &count));
    CHECK(LOG_MEMORY, ad_log_init(log, 0, &agent, &about, count_bytes, &count));
    CHECK(AGENT, ad_log_init(log, sizeof *log, &none, &about, count_bytes, &count));
    CHECK(OVERLAP, ad_log_init((ad_log *)(void *)&agent, sizeof *log, &agent, &about, count_bytes, &count));
    CHECK(OVERLAP, ad_log_init((ad_log *)(void *)workspace, sizeof *log, &agent, &about, count_bytes, &count));
    CHECK(OVERLAP, ad_log_init(log, sizeof *log, &agent, (ad_log_about *)(void *)log, count_bytes, &count));
    wrong = about;
    wrong.environment = NULL;
    CHECK(NULL, ad_log_init(log, sizeof *log, &agent, &wrong, count_bytes, &count));
    wrong.environment = name;
    wrong.environment_length = SIZE_MAX;
    CHECK(BUFFER, ad_log_init(log, sizeof *log, &agent, &wrong, count_bytes, &count));
    /* Cut off within a letter. */
    wrong.environment_length = 2;
    CHECK(ENVIRONMENT_NAME, ad_log_init(log, sizeof *log, &agent, &wrong, count_bytes, &count));
    wrong.environment = (const char *)log;
    CHECK(OVERLAP, ad_log_init(log, sizeof *log, &agent, &wrong, count_bytes, &count));
    wrong.environment = (const char *)&agent;
    CHECK(OVERLAP, ad_log_init(log, sizeof *log, &agent, &wrong, count_bytes, &count));
    wrong.environment = (const char *)workspace;
    CHECK(OVERLAP, ad_log_init(log, sizeof *log, &agent, &wrong, count_bytes, &count));
    not_a_log(AD_STATUS_LOG, log);

    /* Nothing is known; then what the model says of itself, which lies in its weights. */
    memset(&wrong, 0, sizeof wrong);
    CHECK(OK, ad_log_init(log, sizeof *log, &agent, &wrong, count_bytes, &count));
    {
        ad_model_info info;
        CHECK(OK, ad_agent_info(&agent, &info));
        wrong.environment = info.environment;
        wrong.environment_length = info.environment_length;
        CHECK(OK, ad_log_init(log, sizeof *log, &agent, &wrong, count_bytes, &count));
    }
    about.episode = 3;
    about.step = 4;
    CHECK(OK, ad_log_init(log, sizeof *log, &agent, &about, count_bytes, NULL));
    CHECK(OK, ad_log_init(log, sizeof *log, &agent, &about, count_bytes, &count));
    logs_that_are_none(log);
    CHECK_TRUE(count == 0);

    CHECK(NULL, ad_log_position(log, NULL, &at));
    CHECK(NULL, ad_log_position(log, &episode, NULL));
    CHECK(MISALIGNED, ad_log_position(log, displaced(&episode, 2), &at));
    CHECK(MISALIGNED, ad_log_position(log, &episode, displaced(&at, 1)));
    CHECK(OVERLAP, ad_log_position(log, &episode, &episode));
    CHECK(OVERLAP, ad_log_position(log, (uint32_t *)(void *)log, &at));
    CHECK(OVERLAP, ad_log_position(log, &episode, (uint32_t *)(void *)name));
    CHECK_TRUE(episode == 7 && at == 8);
    CHECK(OK, ad_log_position(log, &episode, &at));
    CHECK_TRUE(episode == 3 && at == 4);

    CHECK(FEEDBACK_UNEXPECTED, ad_log_fed_back(log, 0.0f, AD_GOES_ON, NULL, 0));
    CHECK(NULL, ad_log_acted(log, NULL, DARK_ROOM_WORDS, 0));
    CHECK(MISALIGNED, ad_log_acted(log, displaced(cell, 1), DARK_ROOM_WORDS, 0));
    CHECK(BUFFER, ad_log_acted(log, cell, SIZE_MAX, 0));
    CHECK(OVERLAP, ad_log_acted(log, (int32_t *)(void *)log, DARK_ROOM_WORDS, 0));
    CHECK(OBSERVATION_LENGTH, ad_log_acted(log, NULL, 0, 0));
    CHECK(OBSERVATION_LENGTH, ad_log_acted(log, cell, 1, 0));
    CHECK(OBSERVATION, ad_log_acted(log, outside, DARK_ROOM_WORDS, 0));
    CHECK(ACTION, ad_log_acted(log, cell, DARK_ROOM_WORDS, DARK_ROOM_ACTIONS));
    CHECK(ACTION, ad_log_acted(log, cell, DARK_ROOM_WORDS, UINT32_MAX));
    CHECK_TRUE(count == 0);
    CHECK(OK, ad_log_acted(log, cell, DARK_ROOM_WORDS, DARK_ROOM_ACTIONS - 1));
    CHECK_TRUE(count > 0);
    written = count;
    CHECK(FEEDBACK_MISSING, ad_log_acted(log, cell, DARK_ROOM_WORDS, 0));
    CHECK(REWARD, ad_log_fed_back(log, NAN, AD_GOES_ON, NULL, 0));
    CHECK(REWARD, ad_log_fed_back(log, -INFINITY, AD_ENDED, NULL, 0));
    CHECK(END, ad_log_fed_back(log, 1.0f, AD_CUT_OFF + 1, NULL, 0));
    CHECK(END, ad_log_fed_back(log, 1.0f, -1, NULL, 0));
    CHECK(NULL, ad_log_fed_back(log, 1.0f, AD_ENDED, NULL, DARK_ROOM_WORDS));
    CHECK(MISALIGNED, ad_log_fed_back(log, 1.0f, AD_ENDED, displaced(cell, 1), DARK_ROOM_WORDS));
    CHECK(BUFFER, ad_log_fed_back(log, 1.0f, AD_ENDED, cell, SIZE_MAX));
    CHECK(OVERLAP, ad_log_fed_back(log, 1.0f, AD_ENDED, (int32_t *)(void *)log, DARK_ROOM_WORDS));
    CHECK(OBSERVATION_LENGTH, ad_log_fed_back(log, 1.0f, AD_TERMINATED, cell, 1));
    CHECK(OBSERVATION, ad_log_fed_back(log, 1.0f, AD_CUT_OFF, outside, DARK_ROOM_WORDS));
    CHECK_TRUE(count == written);
    CHECK(OK, ad_log_fed_back(log, 1.0f, AD_GOES_ON, outside, 1));
    CHECK_TRUE(count == written + 1);
    CHECK(FEEDBACK_UNEXPECTED, ad_log_fed_back(log, 1.0f, AD_GOES_ON, NULL, 0));
    CHECK(OK, ad_log_position(log, &episode, &at));
    CHECK_TRUE(episode == 3 && at == 5);
    /* The agent is not needed. */
    CHECK(OK, ad_agent_destroy(&agent));
    CHECK(OK, ad_log_acted(log, cell, DARK_ROOM_WORDS, 0));
    CHECK(OK, ad_log_fed_back(log, 1.0f, AD_CUT_OFF, cell, DARK_ROOM_WORDS));
    CHECK(OK, ad_log_position(log, &episode, &at));
    CHECK_TRUE(episode == 4 && at == 0);
    free(name);
    free(log);
}

int main(void) {
    workspace = allocate(WORDS * sizeof *workspace);
    texts();
    sizes();
    models();
    generators();
    initialisation();
    agents_that_are_none();
    calls_of_an_agent();
    snapshots();
    logs();
    free(workspace);
    if (failures == 0) {
        puts("C API: every wrong argument is refused");
    }
    return failures != 0;
}
