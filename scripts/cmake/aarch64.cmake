# For the preset aarch64: Debian's cross compiler and libraries (scripts/build.sh brings them), and QEMU, in which the
# tests run.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
# In 8 GiB: without a bound QEMU grants any allocation, which tests ask too much on purpose.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -R 0x200000000)
list(PREPEND CMAKE_PREFIX_PATH ${CMAKE_CURRENT_LIST_DIR}/../../build/aarch64-root/usr)
