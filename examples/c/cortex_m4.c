/* The agent in bare-metal C on a Cortex-M4 with FPU: no operating system, no C library, no heap. Weights in flash, agent and workspace static.
 * Written for the memory map of an STM32F405 (QEMU's netduinoplus2); the report goes to a debugger by semihosting. */
#include "cortex_m4.h"
#include "trace.h"

#include "model.h"

static ad_agent agent;
static uint32_t workspace[MODEL_WORKSPACE_WORDS];

int main(void) {
    trace result;
    char text[TRACE_TEXT];
    ad_status status = ad_agent_init(&agent, sizeof agent, (const uint8_t *)model, sizeof model, workspace, MODEL_WORKSPACE_WORDS);
    if (status == AD_STATUS_OK) {
        status = trace_run(&agent, TRACE_TASK, TRACE_SEED, TRACE_EPISODES, &result);
    }
    if (status != AD_STATUS_OK) {
        print(ad_status_text(status));
        print("\n");
        return 1;
    }
    trace_text(&result, text);
    print(text);
    return 0;
}
