/* The agent on a chip. What is yours to write is in device.c. */
#include "algodistill_loop.h"

#include <stdio.h>

#include "freertos/FreeRTOS.h"
#include "freertos/task.h"

void app_main(void) {
    ad_status status = algodistill_start();
    while (status == AD_STATUS_OK) {
        status = algodistill_step();
        /* Other tasks, and the watchdog, have their turn. */
        vTaskDelay(1);
    }
    /* What stops an agent is a mistake of the device's functions, or damaged flash: no action is safer than a wrong one. */
    printf("%s\n", ad_status_text(status));
}
