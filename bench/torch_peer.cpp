#include "bench/torch_peer.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "lucid/error.hpp"
#include "lucid/parallel.hpp"

extern char** environ;

namespace bench {
namespace {

struct Pipe {
  int read = -1, write = -1;
  Pipe() {
    int ends[2];
    lucid::check(::pipe2(ends, O_CLOEXEC) == 0, "bench", "no pipe to PyTorch: ", std::strerror(errno));
    read = ends[0], write = ends[1];
  }
};

pid_t spawned(const std::string& python, const std::string& name, int threads, const Pipe& requests,
              const Pipe& answers) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, requests.read, 0);
  ::posix_spawn_file_actions_adddup2(&actions, answers.write, 1);
  std::string program = python, script = LUCID_BENCH_DIR "/" + name, count = std::to_string(threads);
  char* arguments[] = {program.data(), script.data(), count.data(), nullptr};
  pid_t child = -1;
  const int error = ::posix_spawnp(&child, program.c_str(), &actions, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  lucid::check(error == 0, "bench", "cannot start ", python, ": ", std::strerror(error));
  return child;
}

}  // namespace

TorchPeer::TorchPeer(const std::string& python, const std::string& script, int threads) {
  // A child that is gone is told by the answer that does not come.
  std::signal(SIGPIPE, SIG_IGN);
  const Pipe requests, answers;
  child_ = spawned(python, script, threads, requests, answers);
  ::close(requests.read);
  ::close(answers.write);
  requests_ = ::fdopen(requests.write, "w");
  answers_ = ::fdopen(answers.read, "r");
  try {
    const nlohmann::json greeting = read_line();
    version_ = greeting.at("version").get<std::string>() + " on " + greeting.at("blas").get<std::string>();
  } catch (...) {
    close();
    throw;
  }
}

TorchPeer::~TorchPeer() { close(); }

void TorchPeer::close() {
  std::fclose(requests_);  // the child ends with its input
  std::fclose(answers_);
  ::waitpid(child_, nullptr, 0);
}

nlohmann::json TorchPeer::read_line() {
  char* line = nullptr;
  std::size_t capacity = 0;
  const ssize_t length = ::getline(&line, &capacity, answers_);
  const std::string text = length > 0 ? std::string(line, static_cast<std::size_t>(length)) : std::string();
  std::free(line);
  lucid::check(!text.empty(), "bench",
               "PyTorch's process ended without an answer; scripts/install_deps.sh bench installs PyTorch, "
               "--no-torch goes without");
  return nlohmann::json::parse(text);
}

nlohmann::json TorchPeer::ask(const nlohmann::json& request) {
  std::fprintf(requests_, "%s\n", request.dump().c_str());
  std::fflush(requests_);
  return read_line();
}

void PeerOptions::add_to(CLI::App& app) {
  app.add_option("--rounds", rounds, "rounds, of which the median counts")->check(CLI::Range(1, 1000));
  app.add_option("--threads", threads, "default: OMP_NUM_THREADS or one a core")->check(CLI::Range(1, 4096));
  app.add_option("--python", python, "the interpreter that has PyTorch");
  app.add_flag("--no-torch", no_torch, "leave PyTorch out");
}

std::unique_ptr<TorchPeer> PeerOptions::start(const std::string& script) const {
  if (threads > 0) lucid::set_num_threads(threads);
  return no_torch ? nullptr : std::make_unique<TorchPeer>(python, script, lucid::num_threads());
}

}  // namespace bench
