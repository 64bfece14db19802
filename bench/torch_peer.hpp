#pragma once
// PyTorch in a child process: a script of this folder that answers each line of JSON with one.

#include <sys/types.h>
#include <cstdio>
#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace CLI {
class App;
}

namespace bench {

class TorchPeer {
 public:
  /// Starts `python` on bench/<script>. Throws lucid::Error when it does not come up.
  TorchPeer(const std::string& python, const std::string& script, int threads);
  ~TorchPeer();
  TorchPeer(const TorchPeer&) = delete;
  TorchPeer& operator=(const TorchPeer&) = delete;

  /// "1.13.0 on openblas-openmp/libblas.so.3"
  const std::string& version() const { return version_; }
  /// What the script says to `request`. Throws lucid::Error when the child fails.
  nlohmann::json ask(const nlohmann::json& request);

 private:
  nlohmann::json read_line();
  void close();

  pid_t child_ = -1;
  std::FILE* requests_ = nullptr;
  std::FILE* answers_ = nullptr;
  std::string version_;
};

/// What every program that runs beside PyTorch takes on its command line.
struct PeerOptions {
  int rounds = 5, threads = 0;
  bool no_torch = false;
  std::string python = "/usr/bin/python3";

  /// Before parsing; the options are written to this.
  void add_to(CLI::App& app);
  /// Sets the number of threads and starts `script`; null where PyTorch is left out.
  std::unique_ptr<TorchPeer> start(const std::string& script) const;
};

}  // namespace bench
