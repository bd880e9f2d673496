/* The agent in bare-metal C on a Cortex-M4 with FPU: no operating system, no C library, no heap. Weights in flash, agent and workspace static.
 * Written for the memory map of an STM32F405 (QEMU's netduinoplus2); the report goes to a debugger by semihosting. */
#include "trace.h"

#include "model.h"

static ad_agent agent;
static uint32_t workspace[MODEL_WORKSPACE_WORDS];

/* Arm semihosting (document 100863): the debugger, or QEMU, serves a breakpoint with this number. */
static int semihost(int operation, const void *argument) {
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

enum { SYS_WRITE0 = 0x04, SYS_EXIT = 0x18, APPLICATION_EXIT = 0x20026, RUN_TIME_ERROR = 0x20023 };

static void print(const char *text) {
    semihost(SYS_WRITE0, text);
}

static void stop(int reason) {
    for (;;) {
        semihost(SYS_EXIT, (const void *)(uintptr_t)reason);
    }
}

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

/* Start-up. The symbols are those of cortex_m4.ld. */
extern uint32_t stack_top[], data_start[], data_end[], data_load[], bss_start[], bss_end[];

void reset(void);

static void fault(void) {
    print("fault\n");
    stop(RUN_TIME_ERROR);
}

typedef union {
    void (*handler)(void);
    uint32_t *stack;
} vector;

/* Stack pointer, reset, then the exceptions up to the usage fault: no interrupt is ever enabled. */
__attribute__((section(".vectors"), used)) static const vector vectors[] = {
    {.stack = stack_top}, {.handler = reset}, {.handler = fault}, {.handler = fault}, {.handler = fault}, {.handler = fault}, {.handler = fault},
};

void reset(void) {
    /* Coprocessors 10 and 11 are the FPU: off after reset, and `float` arguments travel in its registers. */
    volatile uint32_t *const access_control = (volatile uint32_t *)0xe000ed88u;
    *access_control |= 0xfu << 20;
    __asm__ volatile("dsb\n isb" ::: "memory");
    for (uint32_t *to = data_start, *from = data_load; to < data_end; to++, from++) {
        *to = *from;
    }
    for (uint32_t *to = bss_start; to < bss_end; to++) {
        *to = 0;
    }
    stop(main() == 0 ? APPLICATION_EXIT : RUN_TIME_ERROR);
}
