#pragma once
// Learning-rate schedules, with the numbers of PyTorch 1.13's classes of the same names. A schedule sets the
// first rate when it is made; call step() after each optimiser step (or epoch). The optimiser must outlive
// it.

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lucid/named_tensors.hpp"
#include "nn/optim/optimizer.hpp"

namespace lucid::optim {

/// One number for all parameter groups, or one for each.
struct PerGroup {
  std::vector<double> values;
  PerGroup(double value = 0) : values{value} {}
  PerGroup(std::vector<double> each) : values(std::move(each)) {}
  /// For `count` groups. Throws Error naming `what` when the numbers are neither 1 nor `count`.
  std::vector<double> expand(std::string_view op, const char* what, std::size_t count) const;
};

class LRScheduler {
 public:
  virtual ~LRScheduler() = default;
  LRScheduler(const LRScheduler&) = delete;
  LRScheduler& operator=(const LRScheduler&) = delete;

  /// Moves on to the next rates.
  virtual void step();
  /// The same for a schedule that watches a metric; others pay no heed to it.
  virtual void step(double) { step(); }
  const std::vector<double>& last_lr() const { return last_lr_; }  ///< of each group
  std::int64_t last_epoch() const { return last_epoch_; }          ///< steps done

  /// Scalars and lists in float64, for saving beside the optimiser's state, which holds the present rates.
  virtual NamedTensors state_dict() const;
  /// Throws Error naming what is missing, unexpected or of another form, and then changes nothing.
  void load_state_dict(const NamedTensors& state);

 protected:
  friend class SequentialLR;
  friend class ChainedScheduler;
  LRScheduler(std::string_view name, Optimizer& optimizer);
  /// Sets the first rates; the last line of every constructor.
  void start();
  /// Rates at last_epoch(), computed from those before where PyTorch does so.
  virtual std::vector<double> rates() const = 0;
  /// Rates at last_epoch() from it alone.
  virtual std::vector<double> closed_form() const { return rates(); }
  /// Begins anew at epoch 0, as SequentialLR has its later members do.
  virtual void restart();
  /// Undoes start(), which a SequentialLR then repeats for its first member.
  virtual void unstart() { --last_epoch_; }
  virtual void apply(const std::vector<double>& lrs);
  /// Takes over a state whose keys and sizes have been compared with state_dict()'s.
  virtual void restore(const NamedTensors& state);

  /// f(base rate) for each group; f(present rate) for each group.
  template <class F>
  std::vector<double> from_base(F f) const {
    std::vector<double> out;
    for (double lr : base_lrs_) out.push_back(f(lr));
    return out;
  }
  template <class F>
  std::vector<double> from_present(F f) const {
    std::vector<double> out;
    for (std::size_t g = 0; g < optimizer_.num_groups(); ++g) out.push_back(f(optimizer_.lr(g)));
    return out;
  }

  std::string op_;  // "lr_scheduler.StepLR"
  Optimizer& optimizer_;
  std::vector<double> base_lrs_;
  std::vector<double> last_lr_;
  std::int64_t last_epoch_ = -1;
};

/// lr = base * lr_lambda(epoch), with one function for all groups or one for each.
class LambdaLR final : public LRScheduler {
 public:
  using Function = std::function<double(std::int64_t epoch)>;
  LambdaLR(Optimizer& optimizer, Function lr_lambda);
  LambdaLR(Optimizer& optimizer, std::vector<Function> lr_lambda);

 protected:
  std::vector<double> rates() const override;

 private:
  std::vector<Function> functions_;
};

/// Times lr_lambda(epoch) at each step but the first, with one function for all groups or one for each.
class MultiplicativeLR final : public LRScheduler {
 public:
  using Function = std::function<double(std::int64_t epoch)>;
  MultiplicativeLR(Optimizer& optimizer, Function lr_lambda);
  MultiplicativeLR(Optimizer& optimizer, std::vector<Function> lr_lambda);

 protected:
  std::vector<double> rates() const override;

 private:
  std::vector<Function> functions_;
};

struct StepLROptions {
  std::int64_t step_size = 1;
  double gamma = 0.1;
};
/// Times gamma every step_size steps.
class StepLR final : public LRScheduler {
 public:
  StepLR(Optimizer& optimizer, const StepLROptions& options);

 protected:
  std::vector<double> rates() const override;
  std::vector<double> closed_form() const override;

 private:
  StepLROptions options_;
};

struct MultiStepLROptions {
  std::vector<std::int64_t> milestones;
  double gamma = 0.1;
};
/// Times gamma at each milestone, as often as it is listed.
class MultiStepLR final : public LRScheduler {
 public:
  MultiStepLR(Optimizer& optimizer, const MultiStepLROptions& options);

 protected:
  std::vector<double> rates() const override;
  std::vector<double> closed_form() const override;

 private:
  MultiStepLROptions options_;
};

struct ConstantLROptions {
  double factor = 1.0 / 3;
  std::int64_t total_iters = 5;
};
/// base * factor for total_iters steps, then base.
class ConstantLR final : public LRScheduler {
 public:
  explicit ConstantLR(Optimizer& optimizer, const ConstantLROptions& options = {});

 protected:
  std::vector<double> rates() const override;
  std::vector<double> closed_form() const override;

 private:
  ConstantLROptions options_;
};

struct LinearLROptions {
  double start_factor = 1.0 / 3;
  double end_factor = 1.0;
  std::int64_t total_iters = 5;
};
/// base times a factor that goes from start_factor to end_factor in total_iters steps.
class LinearLR final : public LRScheduler {
 public:
  explicit LinearLR(Optimizer& optimizer, const LinearLROptions& options = {});

 protected:
  std::vector<double> rates() const override;
  std::vector<double> closed_form() const override;

 private:
  LinearLROptions options_;
};

struct ExponentialLROptions {
  double gamma = 0.1;
};
/// Times gamma every step.
class ExponentialLR final : public LRScheduler {
 public:
  ExponentialLR(Optimizer& optimizer, const ExponentialLROptions& options);

 protected:
  std::vector<double> rates() const override;
  std::vector<double> closed_form() const override;

 private:
  ExponentialLROptions options_;
};

struct PolynomialLROptions {
  std::int64_t total_iters = 5;
  double power = 1.0;
};
/// base * (1 - epoch / total_iters)^power, 0 from then on.
class PolynomialLR final : public LRScheduler {
 public:
  explicit PolynomialLR(Optimizer& optimizer, const PolynomialLROptions& options = {});

 protected:
  std::vector<double> rates() const override;
  std::vector<double> closed_form() const override;

 private:
  PolynomialLROptions options_;
};

struct CosineAnnealingLROptions {
  std::int64_t T_max = 1;
  double eta_min = 0;
};
/// eta_min + (base - eta_min) * (1 + cos(pi * epoch / T_max)) / 2. Loshchilov and Hutter, "SGDR: Stochastic
/// Gradient Descent with Warm Restarts", 2016.
class CosineAnnealingLR final : public LRScheduler {
 public:
  CosineAnnealingLR(Optimizer& optimizer, const CosineAnnealingLROptions& options);

 protected:
  std::vector<double> rates() const override;
  std::vector<double> closed_form() const override;

 private:
  CosineAnnealingLROptions options_;
};

struct CosineAnnealingWarmRestartsOptions {
  std::int64_t T_0 = 1;     ///< steps of the first period
  std::int64_t T_mult = 1;  ///< by which each period is longer than the one before
  double eta_min = 0;
};
/// Cosine annealing that begins anew at the end of each period. From the paper of CosineAnnealingLR.
class CosineAnnealingWarmRestarts final : public LRScheduler {
 public:
  CosineAnnealingWarmRestarts(Optimizer& optimizer, const CosineAnnealingWarmRestartsOptions& options);

 protected:
  std::vector<double> rates() const override;

 private:
  CosineAnnealingWarmRestartsOptions options_;
};

struct OneCycleLROptions {
  PerGroup max_lr = 0.1;
  std::optional<std::int64_t> total_steps = {};  ///< or the two that follow
  std::optional<std::int64_t> epochs = {};
  std::optional<std::int64_t> steps_per_epoch = {};
  double pct_start = 0.3;               ///< share of the steps in which the rate rises
  std::string anneal_strategy = "cos";  ///< or "linear"
  bool cycle_momentum = true;
  PerGroup base_momentum = 0.85;
  PerGroup max_momentum = 0.95;
  double div_factor = 25;         ///< max_lr over the first rate
  double final_div_factor = 1e4;  ///< the first rate over the last
  bool three_phase = false;       ///< fall as long as it rose, then to the last rate
};
/// Up to max_lr and down again, the momentum the other way round. Smith and Topin, "Super-Convergence: Very
/// Fast Training of Neural Networks Using Large Learning Rates", 2017.
class OneCycleLR final : public LRScheduler {
 public:
  OneCycleLR(Optimizer& optimizer, const OneCycleLROptions& options);

 protected:
  std::vector<double> rates() const override;
  void apply(const std::vector<double>& lrs) override;

 private:
  struct Phase {
    double end;  // its last step
    std::vector<double> start_lr, end_lr, start_momentum, end_momentum;
  };
  double anneal(double from, double to, double share) const;
  /// The phase that last_epoch() lies in and the share of it that is done.
  std::pair<const Phase&, double> position() const;

  OneCycleLROptions options_;
  std::int64_t total_steps_ = 0;
  std::vector<Phase> phases_;
};

struct CyclicLROptions {
  PerGroup base_lr = 0.001;
  PerGroup max_lr = 0.01;
  std::int64_t step_size_up = 2000;
  std::optional<std::int64_t> step_size_down = {};  ///< as step_size_up unless given
  std::string mode = "triangular";                  ///< or "triangular2", "exp_range"
  double gamma = 1;                                 ///< of "exp_range"
  bool cycle_momentum = true;
  PerGroup base_momentum = 0.8;
  PerGroup max_momentum = 0.9;
};
/// Between base_lr and max_lr in a triangle, the momentum the other way round. Smith, "Cyclical Learning
/// Rates for Training Neural Networks", 2015.
class CyclicLR final : public LRScheduler {
 public:
  CyclicLR(Optimizer& optimizer, const CyclicLROptions& options);

 protected:
  std::vector<double> rates() const override;
  void apply(const std::vector<double>& lrs) override;

 private:
  double height() const;  // of the triangle at last_epoch(), scaled as the mode says

  CyclicLROptions options_;
  std::vector<double> max_lrs_, base_momentums_, max_momentums_;
};

/// One schedule after another: member i takes over at step milestones[i - 1], from its epoch 0.
class SequentialLR final : public LRScheduler {
 public:
  SequentialLR(Optimizer& optimizer, std::vector<std::unique_ptr<LRScheduler>> schedulers,
               std::vector<std::int64_t> milestones);
  using LRScheduler::step;
  void step() override;
  NamedTensors state_dict() const override;

 protected:
  std::vector<double> rates() const override { return last_lr_; }
  void restore(const NamedTensors& state) override;

 private:
  std::vector<std::unique_ptr<LRScheduler>> schedulers_;
  std::vector<std::int64_t> milestones_;
};

/// Several schedules at once: each step is taken by all of them in turn, so that their factors multiply.
class ChainedScheduler final : public LRScheduler {
 public:
  /// Throws Error when there is none, one is of another optimiser, or one needs a metric.
  ChainedScheduler(Optimizer& optimizer, std::vector<std::unique_ptr<LRScheduler>> schedulers);
  using LRScheduler::step;
  void step() override;
  NamedTensors state_dict() const override;

 protected:
  std::vector<double> rates() const override { return last_lr_; }
  void restore(const NamedTensors& state) override;

 private:
  std::vector<std::unique_ptr<LRScheduler>> schedulers_;
};

struct ReduceLROnPlateauOptions {
  std::string mode = "min";  ///< or "max": which way the metric should go
  double factor = 0.1;
  std::int64_t patience = 10;          ///< steps without improvement that are borne
  double threshold = 1e-4;             ///< what counts as improvement
  std::string threshold_mode = "rel";  ///< or "abs"
  std::int64_t cooldown = 0;           ///< steps after a reduction in which nothing is counted
  PerGroup min_lr = 0;
  double eps = 1e-8;  ///< reductions smaller than this are not done
};
/// Times factor when the metric has not improved for more than `patience` steps.
class ReduceLROnPlateau final : public LRScheduler {
 public:
  explicit ReduceLROnPlateau(Optimizer& optimizer, const ReduceLROnPlateauOptions& options = {});
  void step() override;  ///< throws Error: a metric is needed
  void step(double metric) override;
  NamedTensors state_dict() const override;

 protected:
  std::vector<double> rates() const override { return last_lr_; }
  void restore(const NamedTensors& state) override;

 private:
  bool is_better(double metric) const;

  ReduceLROnPlateauOptions options_;
  std::vector<double> min_lrs_;
  double best_;
  std::int64_t bad_epochs_ = 0;
  std::int64_t cooldown_left_ = 0;
};

struct WarmupLROptions {
  std::int64_t total_iters = 1;   ///< steps in all
  std::int64_t warmup_iters = 0;  ///< of them rising
  double start_factor = 0.01;     ///< of the base rate, at step 0
  std::string decay = "poly";     ///< or "cosine", "constant"
  double power = 0.9;             ///< of "poly"
  double eta_min = 0;             ///< the rate at the end
};
/// Linear from base * start_factor to base in warmup_iters steps, then from base to eta_min:
/// (base - eta_min) * (1 - t)^power + eta_min, or half a cosine, t going from 0 to 1 at total_iters.
class WarmupLR final : public LRScheduler {
 public:
  WarmupLR(Optimizer& optimizer, const WarmupLROptions& options);

 protected:
  std::vector<double> rates() const override;

 private:
  WarmupLROptions options_;
};

}  // namespace lucid::optim
