/* The loop that firmware has, and a fingerprint of all it did: the same as that of
 * `algodistill-firmware-sim --environment dark-room --task 65`. */
#ifndef TRACE_H
#define TRACE_H

#include "algodistill.h"
#include "dark_room.h"

/* CRC-32 of zip and Ethernet, bit by bit: a trace is short, a table would cost 1 KB of flash. */
static inline uint32_t trace_crc32(uint32_t crc, uint32_t value, unsigned bytes) {
    crc = ~crc;
    for (; bytes > 0; bytes--, value >>= 8) {
        crc ^= value & 0xffu;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
        }
    }
    return ~crc;
}

typedef struct {
    uint32_t actions_crc32; /* one byte per action */
    uint32_t logits_crc32;  /* four bytes per logit, little-endian */
} trace;

/* Lives `episodes` episodes of a task; the agent keeps its context from one to the next. `seed` decides how actions are
 * drawn. */
static inline ad_status trace_run(ad_agent *agent, uint32_t task, uint64_t seed, unsigned episodes, trace *out) {
    ad_rng rng;
    dark_room room;
    ad_status status = ad_rng_init(&rng, seed, 0);
    dark_room_task(&room, task);
    out->actions_crc32 = 0;
    out->logits_crc32 = 0;
    for (; episodes > 0 && status == AD_STATUS_OK; episodes--) {
        dark_room_transition transition = {0.0f, false};
        dark_room_reset(&room);
        while (!transition.done) {
            int32_t observation[DARK_ROOM_WORDS], logits[DARK_ROOM_ACTIONS];
            uint32_t action;
            dark_room_observe(&room, observation);
            status = ad_agent_act(agent, observation, DARK_ROOM_WORDS, &rng, &action);
            if (status != AD_STATUS_OK) {
                return status;
            }
            status = ad_agent_logits(agent, logits, DARK_ROOM_ACTIONS);
            if (status != AD_STATUS_OK) {
                return status;
            }
            out->actions_crc32 = trace_crc32(out->actions_crc32, action, 1);
            for (int index = 0; index < DARK_ROOM_ACTIONS; index++) {
                out->logits_crc32 = trace_crc32(out->logits_crc32, (uint32_t)logits[index], 4);
            }
            transition = dark_room_step(&room, action);
            /* What is seen before the reset; only looked at where the episode ends. */
            dark_room_observe(&room, observation);
            status = ad_agent_feedback(agent, transition.reward, transition.done, observation, DARK_ROOM_WORDS);
            if (status != AD_STATUS_OK) {
                return status;
            }
        }
    }
    return status;
}

enum { TRACE_TASK = 65, TRACE_EPISODES = 40, TRACE_SEED = 7, TRACE_TEXT = 49 };

/* One line for the log, without printf, which firmware may not have. */
static inline void trace_text(const trace *trace, char text[TRACE_TEXT]) {
    static const char pattern[TRACE_TEXT] = "actions CRC-32 %%%%%%%%, logits CRC-32 %%%%%%%%\n";
    uint64_t digits = (uint64_t)trace->actions_crc32 << 32 | trace->logits_crc32;
    for (int index = 0; index < TRACE_TEXT; index++) {
        text[index] = pattern[index];
        if (pattern[index] == '%') {
            text[index] = "0123456789abcdef"[digits >> 60];
            digits <<= 4;
        }
    }
}

#endif
