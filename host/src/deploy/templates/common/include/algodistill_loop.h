/* The loop of an agent, and the functions of the device that it calls. */
#ifndef ALGODISTILL_LOOP_H
#define ALGODISTILL_LOOP_H

#include "algodistill.h"
#include "algodistill_model.h"

#include <stdbool.h>

#if defined(__XTENSA__)
#error "Xtensa chips (ESP32, ESP32-S2, ESP32-S3) have no library: the stable Rust compiler has no target for them. Take an ESP32-C3, C6 or H2."
#elif defined(__AVR__)
#error "8-bit AVR chips have too little memory for an agent: take a 32-bit board."
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What an action brought. */
typedef struct {
    float reward;
    bool done; /* whether the episode ended with it */
} device_feedback;

/* Of the device: you write them, in its own file. */

/* Reads the sensors into MODEL_OBSERVATION_WORDS words. Called after every action and at the begin of an episode. */
void device_sense(int32_t *observation);
/* Carries out an action, 0 to MODEL_ACTIONS - 1, waits until its effect can be seen, and says what it brought. */
device_feedback device_actuate(uint32_t action);
/* Brings the device to where an episode begins; nothing to do where it goes on by itself. */
void device_begin_episode(void);
/* Decides how actions are drawn: a number that differs from start to start, of a hardware generator where there is one. */
uint64_t device_seed(void);

/* Of the loop: the main program calls them. */

/* Makes the agent, with an empty context, and begins an episode. Once. This and the steps need 4 KB of stack. */
ad_status algodistill_start(void);
/* One step: act, sense, tell the agent what came of it. Call it as often as the device is to act. What is learned stays in
 * the agent's context from one episode to the next. */
ad_status algodistill_step(void);

/* For calls beyond the loop: ad_agent_snapshot before the power is cut, ad_agent_logits, ad_agent_reset for another task. */
extern ad_agent algodistill_agent;

#ifdef __cplusplus
}
#endif

#endif
