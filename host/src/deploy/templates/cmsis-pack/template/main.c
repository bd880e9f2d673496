/* The agent on a board. What is yours to write is in device.c. */
#include "algodistill_loop.h"

int main(void) {
    /* Clocks and pins are set up before this, by the start-up code or here. */
    ad_status status = algodistill_start();
    while (status == AD_STATUS_OK) {
        status = algodistill_step();
    }
    /* What stops an agent is a mistake of the device's functions, or damaged flash: no action is safer than a wrong one.
     * A debugger shows why: ad_status_text(status). */
    for (;;) {
    }
}
