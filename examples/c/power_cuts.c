/* Updates of a model in two slots of simulated flash (ab_update.h), each cut off at one operation of the flash, before it or in the midst of it. After
 * every cut there must be a valid model, of which the agent starts, and the update must succeed. For the host and for bare metal. */
#include "ab_update.h"

#include "model.h"

#include <stdbool.h>

/* A line for the log. 1, for a program that ends with it. */
#if __STDC_HOSTED__
#include <stdio.h>

static int report(const char *text, unsigned number) {
    printf("%s: %u\n", text, number);
    return 1;
}
#else
#include "cortex_m4.h"

static int report(const char *text, unsigned number) {
    char digits[12] = {0};
    int start = sizeof digits - 1;
    digits[--start] = '\n';
    do {
        digits[--start] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    print(text);
    print(": ");
    print(digits + start);
    return 1;
}
#endif

/* Of the flash: those of an STM32G4 unless told otherwise. */
#ifndef PAGE_BYTES
#define PAGE_BYTES 2048
#endif
#ifndef UNIT_BYTES
#define UNIT_BYTES 8
#endif

#define SLOT_BYTES ((sizeof model + AB_MOST_UNIT + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES)

enum { SNAPSHOT_BYTES_MOST = 64 + 4 * MODEL_WORKSPACE_WORDS };

/* A page is erased to 0xff; programming clears bits, and a unit is programmed once after it was erased. */
typedef struct {
    uint32_t words[SLOT_BYTES / 4];
    bool blank[SLOT_BYTES / UNIT_BYTES];
} simulated_flash;

static simulated_flash memory[2];
static ad_rng noise;
/* Operations until the power fails, and whether that is in the midst of the last one. */
static unsigned operations_left;
static bool torn, powered;

static uint8_t noise_byte(void) {
    uint32_t value = 0;
    ad_rng_below(&noise, 256, &value);
    return (uint8_t)value;
}

/* Whether an operation is done in full (1), in part (0) or not at all (-1). */
static int operate(void) {
    if (!powered) {
        return -1;
    }
    if (operations_left > 0) {
        operations_left--;
        return 1;
    }
    powered = false;
    return torn ? 0 : -1;
}

static int erase(void *context, size_t page) {
    simulated_flash *flash = context;
    uint8_t *bytes = (uint8_t *)flash->words + page * PAGE_BYTES;
    int done = operate();
    if (page >= SLOT_BYTES / PAGE_BYTES) {
        return 1;
    }
    for (size_t index = 0; index < PAGE_BYTES && done >= 0; index++) {
        bytes[index] = done ? 0xff : noise_byte();
    }
    for (size_t index = 0; index < PAGE_BYTES / UNIT_BYTES; index++) {
        flash->blank[page * PAGE_BYTES / UNIT_BYTES + index] = done == 1;
    }
    return done != 1;
}

static int program(void *context, size_t offset, const uint8_t *units, size_t length) {
    simulated_flash *flash = context;
    uint8_t *bytes = (uint8_t *)flash->words + offset;
    if (offset % UNIT_BYTES != 0 || length % UNIT_BYTES != 0 || length > SLOT_BYTES || offset > SLOT_BYTES - length) {
        return 1;
    }
    for (; length > 0; length -= UNIT_BYTES, offset += UNIT_BYTES) {
        bool *blank = &flash->blank[offset / UNIT_BYTES];
        int done = *blank ? operate() : -1;
        for (size_t index = 0; index < UNIT_BYTES && done >= 0; index++) {
            *bytes++ &= done ? *units++ : *units++ | noise_byte();
        }
        *blank = false;
        if (done != 1) {
            return 1;
        }
    }
    return 0;
}

static const ab_flash slots[2] = {
    {(const uint8_t *)memory[0].words, SLOT_BYTES, PAGE_BYTES, UNIT_BYTES, erase, program, &memory[0]},
    {(const uint8_t *)memory[1].words, SLOT_BYTES, PAGE_BYTES, UNIT_BYTES, erase, program, &memory[1]},
};

/* The embedded model, and the same with one weight changed. */
static uint32_t changed[sizeof model / 4];
static const uint8_t *const models[2] = {(const uint8_t *)model, (const uint8_t *)changed};
static uint32_t crc32[2];
static ab_requirements requirements;

static ad_agent agent;
static uint32_t workspace[MODEL_WORKSPACE_WORDS];
static uint8_t snapshot[SNAPSHOT_BYTES_MOST];
static size_t snapshot_length;

static void change(void) {
    uint32_t crc = 0xffffffffu;
    for (size_t index = 0; index < sizeof model / 4; index++) {
        changed[index] = model[index];
    }
    /* The last weight of the head: every byte is one. */
    changed[sizeof model / 4 - 1] ^= 0x01000000u;
    for (size_t index = 0; index < sizeof model; index++) {
        crc ^= index / 4 == 3 ? 0 : models[1][index];
        for (int bit = 0; bit < 8 && index / 4 != 3; bit++) {
            crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
        }
    }
    changed[3] = ~crc;
}

/* An update of what runs to model number `to`, with the power failing after so many operations. */
static ab_result update_to(int to, unsigned operations, bool tears) {
    ab_update update;
    ab_result result;
    operations_left = operations;
    torn = tears;
    powered = true;
    result = ab_begin(&update, slots, ab_start(slots, &requirements), sizeof model);
    for (size_t sent = 0; sent < sizeof model && result == AB_OK; sent += PAGE_BYTES) {
        size_t left = sizeof model - sent;
        result = ab_write(&update, models[to] + sent, left < PAGE_BYTES ? left : PAGE_BYTES);
    }
    return result == AB_OK ? ab_finish(&update, &requirements) : result;
}

/* Starts an agent of the model that runs; the number of that model, or -1. */
static int start(void) {
    ad_model_info info;
    size_t length;
    const uint8_t *weights;
    int slot = ab_start(slots, &requirements);
    if (slot < 0) {
        return -1;
    }
    weights = ab_model(&slots[slot], &length);
    if (ad_agent_init(&agent, sizeof agent, weights, length, workspace, MODEL_WORKSPACE_WORDS) != AD_STATUS_OK ||
        ad_agent_info(&agent, &info) != AD_STATUS_OK) {
        return -1;
    }
    return info.crc32 == crc32[0] ? 0 : info.crc32 == crc32[1] ? 1 : -1;
}

static bool take_snapshot(void) {
    return ad_agent_snapshot(&agent, snapshot, sizeof snapshot, &snapshot_length) == AD_STATUS_OK;
}

/* The context goes on where the model is the snapshot's, and is refused where it is another one's. */
static bool context_is_right(int taken_with, int runs) {
    uint32_t model_crc32 = 0;
    ad_status status = ad_agent_restore(&agent, snapshot, snapshot_length);
    return status == (runs == taken_with ? AD_STATUS_OK : AD_STATUS_SNAPSHOT_MODEL) &&
           ad_snapshot_model(snapshot, snapshot_length, &model_crc32) == AD_STATUS_OK && model_crc32 == crc32[taken_with];
}

/* A bit of a weights file flips, and back: the other slot runs. */
static bool other_runs_instead_of(int slot) {
    uint32_t *word = &memory[slot].words[SLOT_BYTES / 8];
    bool found;
    *word ^= 1u << 9;
    found = ab_start(slots, &requirements) == 1 - slot;
    *word ^= 1u << 9;
    return found;
}

int main(void) {
    ad_model_info infos[2];
    unsigned ran[2] = {0, 0}, cuts = 0;
    bool done = false;
    change();
    ad_rng_init(&noise, 7, 0);
    for (int index = 0; index < 2; index++) {
        for (size_t word = 0; word < SLOT_BYTES / 4; word++) {
            memory[index].words[word] = noise_byte() * 0x01010101u;
        }
        if (ad_weights_info(models[index], sizeof model, &infos[index]) != AD_STATUS_OK) {
            return report("a model is not valid", 0);
        }
        crc32[index] = infos[index].crc32;
    }
    requirements.interface_crc32 = infos[0].interface_crc32;
    requirements.workspace_words = MODEL_WORKSPACE_WORDS;
    if (start() != -1 || update_to(0, (unsigned)-1, false) != AB_OK || start() != 0) {
        return report("the first model cannot be installed", 0);
    }
    for (unsigned operation = 0; !done; operation++) {
        /* Either slot is written while the other runs: there and back. */
        for (int turn = 0; turn < 4 && !done; turn++) {
            int old = turn % 2, new = 1 - old, runs;
            if (start() != old || !take_snapshot()) {
                return report("the old model does not run before operation", operation);
            }
            done = update_to(new, operation, turn >= 2) == AB_OK;
            runs = start();
            if (runs < 0 || (done && runs != new)) {
                return report("no valid model after a power cut at operation", operation);
            }
            if (!context_is_right(old, runs)) {
                return report("the wrong context after a power cut at operation", operation);
            }
            /* Where the update was complete, the power failed after it. */
            cuts++;
            ran[runs == new]++;
            if (update_to(new, (unsigned)-1, false) != AB_OK || start() != new) {
                return report("the update does not succeed after a power cut at operation", operation);
            }
        }
    }
    if (!other_runs_instead_of(0) || !other_runs_instead_of(1)) {
        return report("a damaged model runs in slot", (unsigned)ab_start(slots, &requirements));
    }
    report("power cuts in an update", cuts);
    report("the old model ran after", ran[0]);
    report("the new model ran after", ran[1]);
    return ran[0] == 0 || ran[1] == 0;
}
