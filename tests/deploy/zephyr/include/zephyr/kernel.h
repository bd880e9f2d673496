/* As much of Zephyr as main.c uses: there is one thread. */
#define k_yield() ((void)0)
