/* The loop that firmware has, with a log of its steps (docs/steps-log.md). For the host, whose link is standard output, and for bare metal, whose link is
 * the debugger. The same bytes as those of core/examples/steps_log.rs. */
#include "trace.h"

#include "model.h"

#if __STDC_HOSTED__
#include <stdio.h>

static void send(void *context, const uint8_t *bytes, size_t length) {
    fwrite(bytes, 1, length, (FILE *)context);
}

static void *open_link(void) {
    return stdout;
}

static void complain(const char *text) {
    fprintf(stderr, "error: %s\n", text);
}
#else
#include "cortex_m4.h"

static void send(void *context, const uint8_t *bytes, size_t length) {
    write_output(*(const int *)context, bytes, length);
}

static void *open_link(void) {
    static int output;
    output = open_output();
    return &output;
}

static void complain(const char *text) {
    print(text);
    print("\n");
}
#endif

static ad_agent agent;
static uint32_t workspace[MODEL_WORKSPACE_WORDS];
static ad_rng rng;
static ad_log steps;

static ad_status start(void) {
    ad_status status = ad_agent_init(&agent, sizeof agent, (const uint8_t *)model, sizeof model, workspace, MODEL_WORKSPACE_WORDS);
    if (status == AD_STATUS_OK) {
        status = ad_rng_init(&rng, TRACE_SEED, 0);
    }
    if (status == AD_STATUS_OK) {
        static const char name[] = "dark-room";
        ad_log_about about = {0};
        about.environment = name;
        about.environment_length = sizeof name - 1;
        about.task = TRACE_TASK;
        about.task_known = 1;
        about.seed = TRACE_SEED;
        about.seed_known = 1;
        status = ad_log_init(&steps, sizeof steps, &agent, &about, send, open_link());
    }
    return status;
}

/* One step; `end` says whether the episode goes on. */
static ad_status step(dark_room *room, int32_t *end) {
    int32_t observation[DARK_ROOM_WORDS];
    uint32_t action;
    dark_room_transition transition;
    ad_status status;
    dark_room_observe(room, observation);
    status = ad_agent_act(&agent, observation, DARK_ROOM_WORDS, &rng, &action);
    if (status == AD_STATUS_OK) {
        status = ad_log_acted(&steps, observation, DARK_ROOM_WORDS, action);
    }
    if (status == AD_STATUS_OK) {
        transition = dark_room_step(room, action);
        *end = transition.done ? AD_ENDED : AD_GOES_ON;
        dark_room_observe(room, observation);
        status = ad_agent_feedback(&agent, transition.reward, *end, observation, DARK_ROOM_WORDS);
    }
    if (status == AD_STATUS_OK) {
        status = ad_log_fed_back(&steps, transition.reward, *end, observation, DARK_ROOM_WORDS);
    }
    return status;
}

int main(void) {
    dark_room room;
    ad_status status = start();
    dark_room_task(&room, TRACE_TASK);
    for (int episode = 0; episode < TRACE_EPISODES && status == AD_STATUS_OK; episode++) {
        int32_t end = AD_GOES_ON;
        dark_room_reset(&room);
        while (end == AD_GOES_ON && status == AD_STATUS_OK) {
            status = step(&room, &end);
        }
    }
    if (status != AD_STATUS_OK) {
        complain(ad_status_text(status));
        return 1;
    }
    return 0;
}
