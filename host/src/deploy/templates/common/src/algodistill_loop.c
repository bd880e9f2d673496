#include "algodistill_loop.h"

ad_agent algodistill_agent;
static uint32_t workspace[MODEL_WORKSPACE_WORDS];
static ad_rng rng;
/* The last thing seen. One word at least: C has no empty arrays. */
static int32_t observation[MODEL_OBSERVATION_WORDS > 0 ? MODEL_OBSERVATION_WORDS : 1];

static void begin_episode(void) {
    device_begin_episode();
    device_sense(observation);
}

ad_status algodistill_start(void) {
    ad_status status = ad_rng_init(&rng, device_seed(), 0);
    if (status == AD_STATUS_OK) {
        status = ad_agent_init(&algodistill_agent, sizeof algodistill_agent, (const uint8_t *)algodistill_model, MODEL_BYTES,
                               workspace, MODEL_WORKSPACE_WORDS);
    }
    if (status == AD_STATUS_OK) {
        begin_episode();
    }
    return status;
}

ad_status algodistill_step(void) {
    device_feedback feedback;
    uint32_t action;
    ad_status status = ad_agent_act(&algodistill_agent, observation, MODEL_OBSERVATION_WORDS, &rng, &action);
    if (status != AD_STATUS_OK) {
        return status;
    }
    feedback = device_actuate(action);
    device_sense(observation);
    /* Where the episode ended, what is seen now is the last thing of it, before the device is brought back. */
    status = ad_agent_feedback(&algodistill_agent, feedback.reward, feedback.done, observation, MODEL_OBSERVATION_WORDS);
    if (status == AD_STATUS_OK && feedback.done) {
        begin_episode();
    }
    return status;
}
