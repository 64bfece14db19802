#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/examples/support.hpp"

extern char** environ;

namespace support {

struct Outcome {
  int code = -1;  ///< exit code, or 128 + signal
  std::string out, err;
};

/// A running lucid-segment. Killed if it outlives its owner.
class Program {
 public:
  Program(const std::vector<std::string>& arguments, const std::string& folder)
      : out_(folder + "/stdout"), err_(folder + "/stderr") {
    std::vector<std::string> all{LUCID_SEGMENT};
    all.insert(all.end(), arguments.begin(), arguments.end());
    std::vector<char*> raw;
    for (std::string& argument : all) raw.push_back(argument.data());
    raw.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    constexpr int flags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&actions, 1, out_.c_str(), flags, 0644);
    posix_spawn_file_actions_addopen(&actions, 2, err_.c_str(), flags, 0644);
    const int failed = ::posix_spawn(&pid_, LUCID_SEGMENT, &actions, nullptr, raw.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    REQUIRE(failed == 0);
  }
  ~Program() {
    if (pid_ > 0) kill(SIGKILL), wait();
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void kill(int signal) { ::kill(pid_, signal); }

  Outcome wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_bytes(out_),
            read_bytes(err_)};
  }

 private:
  std::string out_, err_;
  pid_t pid_ = -1;
};

/// Waits until `file` has `lines` lines.
inline bool wait_for_lines(const std::string& file, std::ptrdiff_t lines) {
  for (int i = 0; i < 30000; ++i) {
    const std::string text = read_bytes(file);
    if (std::count(text.begin(), text.end(), '\n') >= lines) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

}  // namespace support
