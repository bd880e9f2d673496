/* As much of FreeRTOS as main.c uses: there is one task. */
#define vTaskDelay(ticks) ((void)(ticks))
