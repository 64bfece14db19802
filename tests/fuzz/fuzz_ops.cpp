// fuzz_ops [--op NAME] [--cases N] [--case K] [--seed S]: calls every registered op with its samples made
// strange (other shapes, types, memory, values, options) and demands a result or a lucid::Error: no other
// exception, no crash, no hang, no allocation without bound. Worth most in the asan preset. Closes with 'N
// passed, N failed'.

#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

#include "autograd/backward.hpp"
#include "ops/proof_inputs.hpp"
#include "ops/registry.hpp"

namespace {

using namespace lucid;
using nlohmann::json;

struct Arguments {
  std::string op;
  int cases = 200;
  int only = -1;
  std::uint64_t seed = 0;
};

Arguments parse(int argc, char** argv) {
  Arguments out;
  for (int i = 1; i < argc; i += 2) {
    const std::string key = argv[i];
    if (i + 1 == argc)
      raise("fuzz_ops", key, " needs a value");
    else if (key == "--op")
      out.op = argv[i + 1];
    else if (key == "--cases")
      out.cases = std::atoi(argv[i + 1]);
    else if (key == "--case")
      out.only = std::atoi(argv[i + 1]);
    else if (key == "--seed")
      out.seed = static_cast<std::uint64_t>(std::atoll(argv[i + 1]));
    else
      raise("fuzz_ops", "unknown argument ", key, "; known are --op NAME, --cases N, --case K, --seed S");
  }
  return out;
}

// What a signal's handler says: how to run the case that it interrupted.
char rerun[256] = "";
constexpr unsigned kSecondsACase = 60;

void on_signal(int signal) {
  const char* what = signal == SIGALRM ? "hangs: rerun " : "crashed: rerun ";
  if (write(STDOUT_FILENO, what, std::strlen(what)) < 0 ||
      write(STDOUT_FILENO, rerun, std::strlen(rerun)) < 0 ||
      write(STDOUT_FILENO, "\n0 passed, 1 failed\n", 20) < 0)
    _exit(3);
  _exit(1);
}

// Memory that a process may have: far more than the samples need, far less than the machine has.
void bound_memory() {
#ifndef LUCID_UNBOUNDED
  constexpr rlim_t kBytes = rlim_t{6} << 30;
  const rlimit limit{kBytes, kBytes};
  setrlimit(RLIMIT_AS, &limit);
#endif
}

class Fuzzer {
 public:
  explicit Fuzzer(std::uint64_t seed) : generator_(seed) {}

  ops::Sample strange(const ops::Op& op) {
    auto samples = op.samples(generator_);
    ops::Sample sample = samples[pick(samples.size())];
    if (op.inputs.empty() || !op.inputs.back().repeated) sample.inputs.resize(op.inputs.size());
    for (std::size_t changes = 1 + pick(3); changes > 0; --changes) {
      if (!op.defaults.json().empty() && pick(2))
        change_option(op, sample.options);
      else if (!sample.inputs.empty())
        change_input(sample.inputs);
    }
    return sample;
  }

 private:
  std::size_t pick(std::size_t count) {
    return std::min(static_cast<std::size_t>(generator_.uniform(0, static_cast<double>(count))), count - 1);
  }

  json number() {
    constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
    static const std::vector<json> numbers = {0,
                                              1,
                                              2,
                                              3,
                                              5,
                                              7,
                                              -1,
                                              -2,
                                              -3,
                                              -100,
                                              100,
                                              65537,
                                              std::int64_t{1} << 31,
                                              std::int64_t{1} << 32,
                                              std::int64_t{1} << 40,
                                              std::int64_t{1} << 62,
                                              kMost,
                                              -kMost - 1,
                                              0.0,
                                              0.5,
                                              -0.5,
                                              1.5,
                                              2.3,
                                              1e-300,
                                              1e300,
                                              -1e300,
                                              INFINITY,
                                              -INFINITY,
                                              NAN};
    return numbers[pick(numbers.size())];
  }

  json value() {
    switch (pick(8)) {
      case 0: return nullptr;
      case 1: return pick(2) == 1;
      case 2: return "reflect";
      case 3: return json::object({{"dtype", "float64"}});
      case 4:
      case 5: {
        json list = json::array();
        for (std::size_t count = pick(6); count > 0; --count) list.push_back(number());
        return list;
      }
      default: return number();
    }
  }

  void change_option(const ops::Op& op, ops::OptionValues& options) {
    const json& defaults = op.defaults;
    auto key = defaults.begin();
    std::advance(key, pick(defaults.size()));
    json option = options.json().value(key.key(), json());
    if (option.is_array() && !option.empty() && pick(2))
      option[pick(option.size())] = number();
    else
      option = value();
    options.set(key.key().c_str(), option);
  }

  void change_input(Tensors& inputs) {
    Tensor& input = inputs[pick(inputs.size())];
    if (!input.defined()) {
      input = inputs[pick(inputs.size())];
      return;
    }
    switch (pick(8)) {
      case 0: input = {}; break;
      case 1: input = inputs[pick(inputs.size())]; break;
      case 2: input = converted(input); break;
      case 3: input = reshaped(input); break;
      case 4: input = odd_values(input); break;
      case 5: input = ops::strided_copy(input); break;
      case 6: input = ops::channels_last_copy(input); break;
      default:
        input = input.dim() > 0
                    ? alias(input, input.shape(), Strides::filled(input.shape().size(), 0), input.offset())
                    : input;
    }
  }

  Tensor converted(const Tensor& input) {
    constexpr DType kTypes[] = {f32, f64, bf16, i64, i32, u8, boolean};
    return input.detach().to(kTypes[pick(std::size(kTypes))]);
  }

  // Another size on one axis, an axis more or one less.
  Tensor reshaped(const Tensor& input) {
    Shape shape = input.shape();
    constexpr std::int64_t kSizes[] = {0, 1, 2, 3, 9};
    const std::int64_t size = kSizes[pick(std::size(kSizes))];
    const std::size_t rank = shape.size();
    switch (rank == 0 ? 1 : pick(3)) {
      case 0: shape[pick(rank)] = size; break;
      case 1: shape.insert(pick(rank + 1), size); break;
      default: shape.erase(pick(rank));
    }
    return is_floating(input.dtype()) ? randn(shape, input.dtype(), &generator_)
                                      : zeros(shape, input.dtype());
  }

  Tensor odd_values(const Tensor& input) {
    std::vector<double> values = input.to_vector<double>();
    static constexpr double kOdd[] = {0, -1, 1e9, -1e9, 5, 1e300, INFINITY, -INFINITY, NAN};
    const std::size_t usable = is_floating(input.dtype()) ? std::size(kOdd) : 5;
    for (double& entry : values)
      if (pick(2)) entry = kOdd[pick(usable)];
    return Tensor::from(values, input.shape()).to(input.dtype());
  }

  Generator generator_;
};

constexpr std::int64_t kReadable = std::int64_t{1} << 26;

// A call, its results read, and its gradients.
void run(const ops::Op& op, const ops::Sample& sample) {
  Tensors inputs;
  for (const Tensor& input : sample.inputs) {
    inputs.push_back(input.defined() ? input.detach() : input);
    if (ops::is_real(input)) inputs.back().requires_grad_();
  }
  const Tensors results = ops::call_all(op.name, inputs, sample.options);
  Tensors roots, seeds;
  for (const Tensor& result : results) {
    if (!result.defined()) continue;
    // An expanded result may name terabytes; without a sanitizer, which ends the program, reading it is
    // refused.
    if (result.numel() < kReadable) result.to_vector<double>();
    if (!result.requires_grad()) continue;
    roots.push_back(result);
    seeds.push_back(ones(result.shape(), result.dtype()));
  }
  Tensors wanted;
  for (const Tensor& input : inputs)
    if (input.defined() && input.requires_grad()) wanted.push_back(input);
  if (!roots.empty() && !wanted.empty()) autograd::grad(roots, wanted, seeds, {.allow_unused = true});
}

struct Counts {
  int answered = 0, refused = 0, failed = 0;
};

void fuzz(const ops::Op& op, const Arguments& arguments, Counts& counts) {
  for (int k = 0; k < arguments.cases; ++k) {
    if (arguments.only >= 0 && k != arguments.only) continue;
    std::snprintf(rerun, sizeof rerun, "fuzz_ops --op %s --case %d --seed %llu", op.name.c_str(), k,
                  static_cast<unsigned long long>(arguments.seed));
    Fuzzer fuzzer(arguments.seed * 1000003 + static_cast<std::uint64_t>(k));
    alarm(kSecondsACase);
    try {
      run(op, fuzzer.strange(op));
      ++counts.answered;
    } catch (const Error&) {
      ++counts.refused;
    } catch (const std::exception& error) {
      ++counts.failed;
      std::cout << "threw what is no lucid::Error: " << error.what() << "\n  rerun " << rerun << '\n';
    }
    alarm(0);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const Arguments arguments = parse(argc, argv);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGALRM}) std::signal(signal, on_signal);
  bound_memory();
  int passed = 0, failed = 0;
  Counts all;
  for (const ops::Op* op : ops::all()) {
    if (!arguments.op.empty() && op->name != arguments.op) continue;
    if (!op->samples) continue;
    Counts counts;
    fuzz(*op, arguments, counts);
    (counts.failed ? failed : passed) += 1;
    all.answered += counts.answered;
    all.refused += counts.refused;
  }
  if (passed + failed == 0) failed = 1;
  std::cout << all.answered << " strange calls answered, " << all.refused << " refused\n"
            << passed << " passed, " << failed << " failed\n";
  return failed ? 1 : 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 2;
}
