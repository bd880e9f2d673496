/* The agent on a board. What is yours to write is in device.c. */
#include "algodistill_loop.h"

#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>

int main(void) {
    ad_status status = algodistill_start();
    while (status == AD_STATUS_OK) {
        status = algodistill_step();
        /* Other threads have their turn. */
        k_yield();
    }
    /* What stops an agent is a mistake of the device's functions, or damaged flash: no action is safer than a wrong one. */
    printk("%s\n", ad_status_text(status));
    return 0;
}
