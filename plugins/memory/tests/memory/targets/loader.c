/* Maps the program that its argument names and becomes it, as Wine's loader does; the kernel cuts the name. */
#include <dlfcn.h>
#include <sys/prctl.h>
int main(int count, char **words) {
    void *game = dlopen(words[count - 1], RTLD_NOW);
    prctl(PR_SET_NAME, "DarkSoulsRemastered.exe");
    ((void (*)(void))dlsym(game, "play"))();
}
