/* Dark Room in place of a device: what the loop of a folder does, as a fingerprint, is compared with the Rust agent's. */
#include "algodistill_loop.h"
#include "board.h"
#include "trace.h"

static dark_room room;
static trace done;
static unsigned episodes;

static void stop_with(const trace *result) {
    char text[TRACE_TEXT];
    trace_text(result, text);
    board_print(text);
    board_stop(0);
}

void device_begin_episode(void) {
    if (episodes == TRACE_EPISODES) {
        stop_with(&done);
    }
    episodes++;
    dark_room_task(&room, TRACE_TASK);
    dark_room_reset(&room);
}

void device_sense(int32_t *observation) {
    dark_room_observe(&room, observation);
}

device_feedback device_actuate(uint32_t action) {
    int32_t logits[DARK_ROOM_ACTIONS];
    device_feedback feedback;
    dark_room_transition transition = dark_room_step(&room, action);
    if (ad_agent_logits(&algodistill_agent, logits, DARK_ROOM_ACTIONS) != AD_STATUS_OK) {
        board_stop(1);
    }
    done.actions_crc32 = trace_crc32(done.actions_crc32, action, 1);
    for (int index = 0; index < DARK_ROOM_ACTIONS; index++) {
        done.logits_crc32 = trace_crc32(done.logits_crc32, (uint32_t)logits[index], 4);
    }
    feedback.reward = transition.reward;
    feedback.done = transition.done;
    return feedback;
}

uint64_t device_seed(void) {
    return TRACE_SEED;
}
